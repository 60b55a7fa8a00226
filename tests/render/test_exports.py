"""Graphs for other tools: what is written is read back, by the tools' own readers."""

from __future__ import annotations

import dataclasses
import io
import json
import math
from pathlib import Path
from typing import Any

import networkx as nx
import pytest
from typer.testing import CliRunner

from gradtrace.cli import app
from gradtrace.errors import OptionError
from gradtrace.render import draw
from gradtrace.summary import Summary
from tests.render import examples
from tests.render.conftest import Installed
from tests.render.names import HOSTILE

NAMES = ["mlp", "residual", "scalars", "oddities"]


def written(graph: Any, format: str) -> str:
    drawn = draw(graph, None, format=format)
    assert isinstance(drawn, str)
    return drawn


def same(told: Any, known: float | None) -> bool:
    """Tell whether a number that was read back is the one that was known."""
    if isinstance(told, str):
        told = float(told.replace("Inf", "inf"))
    if told is None or known is None:
        return told is known
    return bool(told == known or (math.isnan(told) and math.isnan(known)))


@pytest.mark.parametrize("name", NAMES)
def test_node_link_json_is_read_back_with_its_numbers(name: str) -> None:
    graph = getattr(examples, name)()
    back = nx.node_link_graph(json.loads(written(graph, "json")), edges="edges")
    assert set(back.edges(keys=True)) == set(graph.edges(keys=True))
    for node, data in graph.nodes(data=True):
        assert back.nodes[node]["kind"] == data["kind"]
        for key in ("value", "upstream_gradient"):
            if isinstance(data[key], Summary):
                [tensor] = back.nodes[node][key]
                assert tensor["shape"] == list(data[key].shape)
                assert same(tensor.get("norm"), data[key].norm)
    for tail, head, key, data in graph.edges(keys=True, data=True):
        told = back.edges[tail, head, key]
        found = data["local_derivative"]
        assert told.get("structure") == (found.structure if found else None)
        assert same(told.get("gain"), found.gain if found else None)
        share = data["downstream_gradient"]
        assert same((told.get("downstream_gradient") or [{}])[0].get("norm"), share and share.norm)


@pytest.mark.parametrize("name", NAMES)
def test_graphml_is_read_back_with_its_numbers(name: str) -> None:
    graph = getattr(examples, name)()
    back = nx.read_graphml(io.BytesIO(written(graph, "graphml").encode()))
    assert set(back) == set(graph)
    assert back.number_of_edges() == graph.number_of_edges()
    for node, data in graph.nodes(data=True):
        if isinstance(data["upstream_gradient"], Summary):
            assert same(back.nodes[node].get("upstream_norm"), data["upstream_gradient"].norm)
    gains = sorted(str(gain) for _, _, gain in back.edges(data="gain"))
    known = [each for _, _, each in graph.edges(data="local_derivative")]
    assert gains == sorted(
        str(None if each is None or each.gain is None else float(each.gain)) for each in known
    )


@pytest.mark.parametrize("name", NAMES)
def test_model_explorer_has_every_node_and_edge(name: str) -> None:
    graph = getattr(examples, name)()
    [drawn] = json.loads(written(graph, "model-explorer"))["graphs"]
    assert [node["id"] for node in drawn["nodes"]] == list(graph)
    ends = {
        (edge["sourceNodeId"], node["id"], edge["targetNodeInputId"])
        for node in drawn["nodes"]
        for edge in node["incomingEdges"]
    }
    assert ends == {(tail, head, str(key)) for tail, head, key in graph.edges(keys=True)}


@pytest.mark.parametrize("name", NAMES)
def test_model_explorer_fields_are_those_of_its_own_classes(name: str) -> None:
    reason = "ai-edge-model-explorer is not installed"
    builder = pytest.importorskip("model_explorer.graph_builder", reason=reason)
    data = pytest.importorskip("model_explorer.node_data_builder", reason=reason)
    graph = getattr(examples, name)()
    drawn = json.loads(written(graph, "model-explorer"))
    pairs = lambda facts: [builder.KeyValue(**each) for each in facts]  # noqa: E731
    items = lambda facts: [  # noqa: E731
        builder.MetadataItem(each["id"], pairs(each["attrs"])) for each in facts
    ]
    nodes = [
        builder.GraphNode(
            **node
            | {
                "attrs": pairs(node["attrs"]),
                "incomingEdges": [builder.IncomingEdge(**edge) for edge in node["incomingEdges"]],
                "inputsMetadata": items(node["inputsMetadata"]),
                "outputsMetadata": items(node["outputsMetadata"]),
            }
        )
        for node in drawn["graphs"][0]["nodes"]
    ]
    collection = builder.GraphCollection(
        drawn["label"], [builder.Graph(drawn["graphs"][0]["id"], nodes)]
    )
    kept = dataclasses.asdict(collection)["graphs"][0]["nodes"]
    for node, told in zip(drawn["graphs"][0]["nodes"], kept, strict=True):
        assert {key: told[key] for key in node} == node
    [(_, numbers)] = json.loads(written(graph, "model-explorer-data")).items()
    data.GraphNodeData(
        name=numbers["name"],
        results={node: data.NodeDataResult(**each) for node, each in numbers["results"].items()},
        thresholds=[data.ThresholdItem(**each) for each in numbers["thresholds"]],
    )


def test_node_data_is_the_norm_of_the_upstream_gradient() -> None:
    graph = examples.mlp()
    [(_, data)] = json.loads(written(graph, "model-explorer-data")).items()
    known = {
        node: upstream.norm
        for node, upstream in graph.nodes(data="upstream_gradient")
        if upstream is not None
    }
    assert {node: each["value"] for node, each in data["results"].items()} == known
    assert data["thresholds"][0]["value"] <= min(known.values())
    assert data["thresholds"][-1]["value"] >= max(known.values())


def test_gradients_that_are_not_finite_have_no_node_data() -> None:
    [(_, data)] = json.loads(written(examples.oddities(), "model-explorer-data")).items()
    assert "x" not in data["results"]
    assert data["results"]["Custom"] == {"value": 1.0}


@pytest.mark.parametrize("format", ["json", "graphml", "model-explorer", "model-explorer-data"])
def test_hostile_names_are_read_back(format: str) -> None:
    graph = examples.hostile(HOSTILE)
    text = written(graph, format)
    if format == "graphml":
        back = nx.read_graphml(io.BytesIO(text.encode()))
        assert back.number_of_edges() == graph.number_of_edges()
        legal = {node for node in graph if "\x00" not in node}
        assert legal <= set(back)
        assert len(back) == len(graph)
        return
    told = json.loads(text)
    if format == "json":
        assert [node["id"] for node in told["nodes"]] == list(graph)
    elif format == "model-explorer":
        assert [node["id"] for node in told["graphs"][0]["nodes"]] == list(graph)
    else:
        assert set(told["gradtrace"]["results"]) == set(graph)


@pytest.mark.parametrize("format", ["json", "graphml", "model-explorer", "model-explorer-data"])
def test_an_option_of_a_figure_is_refused(format: str) -> None:
    told = f"depth= is not an option of format='{format}'; it takes none"
    with pytest.raises(OptionError, match=told):
        draw(examples.mlp(), None, format=format, depth=1)


@pytest.mark.parametrize(
    ("name", "options", "start"),
    [
        ("fig.mmd", ["--depth", "1", "--direction", "right"], "flowchart LR"),
        ("step.html", ["--title", "A step", "--depth", "2"], "<!DOCTYPE html>"),
        ("step.json", [], '{"directed": true'),
        ("step.graphml", [], "<?xml"),
        ("step.json", ["--format", "model-explorer"], '{"label": "gradtrace"'),
        ("data.json", ["--format", "model-explorer-data"], '{"gradtrace": {"name"'),
    ],
)
def test_the_command_writes_every_format_without_a_plugin(
    name: str, options: list[str], start: str, installed: Installed, tmp_path: Path
) -> None:
    saved = examples.chain(5).save(tmp_path / "step.gradtrace")
    target = tmp_path / name
    result = CliRunner().invoke(app, ["render", str(saved), "-o", str(target), *options])
    assert result.exit_code == 0, result.output
    assert target.read_text(encoding="utf-8").startswith(start)


def test_the_command_refuses_an_option_that_a_format_has_not(tmp_path: Path) -> None:
    saved = examples.chain(5).save(tmp_path / "step.gradtrace")
    target = str(tmp_path / "step.json")
    result = CliRunner().invoke(app, ["render", str(saved), "-o", target, "--depth", "1"])
    assert result.exit_code == 2
