"""A graph for Model Explorer, which shows graphs of tens of thousands of nodes."""

from __future__ import annotations

import json
from typing import Any

import networkx as nx

from gradtrace.render.labels import summaries
from gradtrace.render.numbers import number, shape
from gradtrace.render.plain import formula_text

__all__ = ["GRAPH", "write"]

GRAPH = "gradtrace"
"""Id of the graph, by which node data finds it."""


def write(graph: nx.MultiDiGraph[str]) -> str:
    """Return `graph` as a collection of one graph; scopes are its namespaces.

    The gradients are in a file of their own: `format="model-explorer-data"`. The fields are
    those of `model_explorer.graph_builder`.
    """
    nodes = [_node(graph, node, data) for node, data in graph.nodes(data=True)]
    collection = {"label": GRAPH, "graphs": [{"id": GRAPH, "nodes": nodes}]}
    return json.dumps(collection, ensure_ascii=False, allow_nan=False)


def _node(graph: nx.MultiDiGraph[str], node: str, data: dict[str, Any]) -> dict[str, Any]:
    values = summaries(data["value"])
    return {
        "id": node,
        "label": node if data["kind"] not in ("call", "item") else data["op"] or node,
        "namespace": _scope(graph, node, data).replace(".", "/"),
        "attrs": _pairs(_facts(data)),
        "incomingEdges": _incoming(graph, node),
        "inputsMetadata": _uses(graph, node),
        "outputsMetadata": [
            {
                "id": str(index),
                "attrs": _pairs({"tensor_shape": f"{summary.dtype}[{shape(summary.shape)}]"}),
            }
            for index, summary in enumerate(values)
            if summary is not None
        ],
    }


def _scope(graph: nx.MultiDiGraph[str], node: str, data: dict[str, Any]) -> str:
    """Return the scope a node lies in: that of its calls, if they agree, for a leaf."""
    if data["kind"] in ("call", "item"):
        return str(data["scope"])
    scopes = {graph.nodes[user]["scope"] for user in graph.successors(node)}
    return str(scopes.pop()) if len(scopes) == 1 and data["kind"] != "input" else ""


def _facts(data: dict[str, Any]) -> dict[str, str]:
    facts = {"kind": data["kind"], "note": data["note"] or ""}
    for word, key in (("value", "value"), ("upstream gradient", "upstream_gradient")):
        for summary in summaries(data[key]):
            if summary is not None:
                facts[f"‖{word}‖"] = number(summary.norm)
    if data["source"] is not None:
        facts["source"] = "{}:{} in {}".format(*data["source"])
    return {name: fact for name, fact in facts.items() if fact}


def _incoming(graph: nx.MultiDiGraph[str], node: str) -> list[dict[str, str]]:
    return [
        {"sourceNodeId": tail, "sourceNodeOutputId": "0", "targetNodeInputId": str(key)}
        for tail, _, key in graph.in_edges(node, keys=True)
    ]


def _uses(graph: nx.MultiDiGraph[str], node: str) -> list[dict[str, Any]]:
    """Return what is known of each edge into a node, by its operand's index."""
    uses = []
    for _, _, key, data in graph.in_edges(node, keys=True, data=True):
        facts = {"operand": str(data["operand"])}
        found = data["local_derivative"]
        if found is not None:
            facts |= {"local derivative": found.structure, "gain": number(found.gain)}
            facts["formula"] = formula_text(found) or ""
        share = data["downstream_gradient"]
        if share is not None:
            facts["‖downstream gradient‖"] = number(share.norm)
        known = {name: fact for name, fact in facts.items() if fact}
        uses.append({"id": str(key), "attrs": _pairs(known)})
    return uses


def _pairs(facts: dict[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in facts.items()]
