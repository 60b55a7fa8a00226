"""Paths and splits, against finite differences of closed forms, brute force and PyTorch."""

from __future__ import annotations

import math
import time
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings

import gradtrace
from gradtrace.analysis.paths import paths
from gradtrace.analysis.splits import split
from gradtrace.errors import OptionError
from gradtrace.graph import Graph
from tests.analysis.networks import dense_layer, finish, runs, weights
from tests.tapes import Run


def cube(**options: Any) -> Graph:
    """y = (x · x) · x + x, at x = 3."""
    run = Run(**options)
    x = run.leaf("x", 3.0)
    run.backward(run.call("add", run.call("mul", run.call("mul", x, x), x), x))
    return run.graph()


def residual(blocks: int = 4, **options: Any) -> Graph:
    run = Run(**options)
    x = run.leaf("x", np.random.default_rng(0).normal(size=(3, 3)))
    for number, w in enumerate(weights(run, blocks)):
        x = dense_layer(run, x, w, f"blocks.{number}", number)
    return finish(run, x)


def test_paths_of_a_product_are_its_terms() -> None:
    found = paths(cube(), "x")
    assert found.count == 4
    assert sorted(path.norm or 0.0 for path in found.paths) == [1.0, 9.0, 9.0, 9.0]
    assert [path.nodes for path in found.paths][-1] == ("x", "add")
    assert found.norm == 28.0  # 3x² + 1
    assert found.rest.count == 0


@pytest.mark.parametrize("top", [1, 2, 3, 5, 16])
def test_what_is_not_told_apart_is_summed(top: int) -> None:
    found = paths(residual(), "x", top=top)
    assert found.count == 16
    assert (len(found.paths), found.rest.count) == (top, 16 - top)
    shares = [found.rest.share, *(path.share for path in found.paths)]
    assert sum(share for share in shares if share is not None) == pytest.approx(1)


@settings(max_examples=60, deadline=None)
@given(run=runs())
def test_all_paths_add_up_to_the_upstream_gradient(run: Run) -> None:
    graph = run.graph()
    for leaf in ("w0", "w2"):
        if leaf not in graph or graph.nodes[leaf]["upstream_gradient"] is None:
            continue
        found = paths(graph, leaf, top=4)
        assert found.resolved
        arrays = [path.array for path in found.paths]
        arrays += [found.rest.array] if found.rest.count else []
        expected = graph.nodes[leaf]["upstream_gradient"].array
        np.testing.assert_allclose(sum(arrays), expected, rtol=1e-9, atol=1e-12)  # type: ignore[arg-type]


@settings(max_examples=40, deadline=None)
@given(run=runs())
def test_the_number_of_paths_is_that_of_networkx(run: Run) -> None:
    graph = run.graph()
    target = next((node for node, seed in graph.nodes(data="seed") if seed is not None), None)
    if target is None:
        return
    carrying = nx.MultiDiGraph(graph)
    carrying.remove_edges_from(
        [(u, v, k) for u, v, k, d in graph.edges(keys=True, data=True) if not d["local_derivative"]]
    )
    for leaf in ("w0", "w2"):
        if leaf in graph:
            brute = sum(1 for _ in nx.all_simple_edge_paths(carrying, leaf, target))
            assert paths(graph, leaf).count == brute


@settings(max_examples=40, deadline=None)
@given(run=runs())
def test_shares_of_every_split_add_to_one(run: Run) -> None:
    graph = run.graph()
    for node in graph:
        shares = [share.share for share in split(graph, node).shares]
        if shares and None not in shares:
            assert math.fsum(share for share in shares if share is not None) == pytest.approx(1)


def test_two_uses_are_split_by_norms_as_by_elements() -> None:
    kept, summaries = residual(), residual(keep="summary", derivatives="gain")
    for node in kept:
        one, other = split(kept, node), split(summaries, node)
        if len(one.shares) == 2:
            for left, right in zip(one.shares, other.shares, strict=True):
                assert left.share == pytest.approx(right.share, rel=1e-9, abs=1e-12)


def test_three_uses_without_elements_say_so() -> None:
    run = Run(keep="summary")
    x = run.leaf("x", [1.0, 2.0])
    run.backward(run.call("sum", run.call("add", run.call("mul", x, x), run.call("tanh", x))))
    found = split(run.graph(), "x")
    assert [share.share for share in found.shares] == [None] * 3
    assert found.reason is not None
    assert "keep='all'" in found.reason
    assert "Where the share is ?: more than two uses" in str(paths(run.graph(), "x"))


def test_skip_connections_are_told_from_branches() -> None:
    found = paths(residual(), "x")
    skips = {share.name: share.skips for each in found.splits for share in each.shares}
    assert skips["blocks.2.matmul.input"] is None
    assert skips["blocks.2.add.other"] == 2
    assert [each.node for each in found.splits] == [
        "blocks.2.add",
        "blocks.1.add",
        "blocks.0.add",
        "x",
    ]


def test_estimates_are_called_estimates_and_add_to_one() -> None:
    found = paths(residual(keep="summary", derivatives="gain"), "x", top=3)
    assert not found.resolved
    assert "Shares are estimated from the fan-outs" in str(found)
    shares = [found.rest.share, *(path.share for path in found.paths)]
    assert sum(share for share in shares if share is not None) == pytest.approx(1)


def test_an_estimate_is_right_where_there_is_one_fan_out() -> None:
    exact = paths(residual(1), "x")
    found = paths(residual(1, keep="summary", derivatives="gain"), "x")
    for one, other in zip(exact.paths, found.paths, strict=True):
        assert one.edges == other.edges
        assert one.share == pytest.approx(other.share)


def test_a_chain_needs_no_exact_derivative() -> None:
    run = Run(keep="summary", derivatives="gain")
    x = run.leaf("x", [0.1, 0.2])
    run.backward(run.call("sum", run.call("tanh", run.call("halve", x))))
    graph = run.graph()
    (path,) = paths(graph, "x").paths
    assert path.share == 1
    assert path.norm == graph.nodes["x"]["upstream_gradient"].norm


def test_parts_of_a_split_call_are_followed() -> None:
    run = Run()
    x = run.leaf("x", [[1.0, 2.0], [3.0, 4.0]])
    first, second = run.call("split", x)
    run.backward(run.call("sum", run.call("mul", first, run.call("halve", second))))
    found = paths(run.graph(), "x")
    assert found.count == 2
    np.testing.assert_allclose(
        sum(path.array for path in found.paths),  # type: ignore[misc]
        x.upstream,
    )
    # the gradients of the parts are (3, 4) / 2 and (1, 2) / 2, so their squares are as 25 to 5
    shares = {share.edge[1]: share.share for share in found.splits[0].shares if share.edge}
    assert shares == pytest.approx({"split[0]": 25 / 30, "split[1]": 5 / 30})


def test_2_to_the_1000_paths_are_counted_and_the_largest_found() -> None:
    run = Run(keep="summary", derivatives="gain")
    x = run.leaf("x", 1.0)
    for _ in range(1000):
        x = run.call("add", run.call("halve", x), x)
    run.backward(x)
    began = time.process_time()
    found = paths(run.graph(), "x", top=5)
    assert time.process_time() - began < 2
    assert found.count == 2**1000
    assert all(node.startswith(("x", "add")) for node in found.paths[0].nodes)
    assert "1e301 paths" in str(found)


def test_5000_nodes_take_less_than_2_seconds() -> None:
    run = Run(derivatives="gain", keep="summary")
    x = run.leaf("x", [0.5, 0.25])
    w = run.leaf("w", [1.0, 1.0])
    for _ in range(1250):
        x = run.call("add", run.call("tanh", run.call("halve", run.call("mul", x, w))), x)
    run.backward(run.call("sum", x))
    graph = run.graph()
    assert len(graph) > 5000
    began = time.process_time()
    found = paths(graph, "w")
    str(found)
    assert time.process_time() - began < 2
    assert len(found.splits) > 1000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"source": "y"}, "no node is named 'y'"),
        ({"source": "x", "target": "ad"}, "no node is named 'ad'; among the nodes there are 'add'"),
        ({"source": "x", "top": 0}, "top=0 is not a number of paths; use an integer from 1"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        paths(cube(), **arguments)


def test_a_graph_without_backward_pass_needs_a_target() -> None:
    run = Run()
    run.call("tanh", run.leaf("x", 1.0))
    with pytest.raises(OptionError, match="no backward pass began in this graph; give a target"):
        paths(run.graph(), "x")


def test_nothing_comes_back_to_what_has_no_gradient() -> None:
    run = Run()
    x = run.leaf("x", 1.0, differentiable=False)
    run.backward(run.call("mul", x, run.leaf("w", 2.0)))
    found = paths(run.graph(), "x")
    assert found.count == 0
    assert str(found) == "from mul back to x: 0 paths, 0 fan-outs; no gradient comes back"


class TestTorch:
    """A real residual network, block by block."""

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_skip_and_branch_are_what_autograd_says(self, dtype: str) -> None:
        torch = pytest.importorskip("torch")
        torch.manual_seed(0)
        kind = getattr(torch, dtype)
        layers = [torch.nn.Linear(6, 6).to(kind) for _ in range(5)]
        x = torch.randn(4, 6, dtype=kind, requires_grad=True)
        with gradtrace.trace(keep="all", derivatives="exact") as graph:
            h = torch.neg(x)
            for layer in layers:
                h = h + torch.tanh(layer(h))
            h.pow(2).mean().backward()
        found = graph.paths("x", top=4)
        assert found.count == 32
        fans = {each.node: each for each in found.splits}
        for each in fans.values():
            branch, skip = each.shares
            above = graph.nodes[skip.edge[1]]["upstream_gradient"].array  # type: ignore[index]
            total = graph.nodes[each.node]["upstream_gradient"].array
            expected = float((above * total).sum() / (total * total).sum())
            assert skip.skips == 2
            assert skip.share == pytest.approx(expected, rel=1e-4)
            assert branch.share == pytest.approx(1 - expected, rel=1e-3)
        whole = sum((p.array for p in found.paths), found.rest.array)
        np.testing.assert_allclose(whole, x.grad.numpy(), rtol=1e-4, atol=1e-7)  # type: ignore[union-attr]

    def test_a_loaded_graph_gives_the_same_text(self, tmp_path: Any) -> None:
        graph = residual()
        again = gradtrace.load(graph.save(tmp_path / "a.gradtrace"))
        assert str(again.paths("x")) == str(graph.paths("x"))
