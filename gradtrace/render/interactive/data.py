"""What the interactive page is given: nodes, edges, the boxes they are drawn as, and scopes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import networkx as nx

from gradtrace.formulas.glossary import GLOSSARY
from gradtrace.render.boxes import calls_of
from gradtrace.render.convex import convex
from gradtrace.render.palette import Magnitudes
from gradtrace.render.pieces import LEAVES
from gradtrace.render.plain import edge_facts, node_facts
from gradtrace.render.scopes import Frames, Place, reaches

__all__ = ["page_data"]

NEAR = 8
"""Calls between two uses of a leaf up to which one box stands for both."""


def page_data(graph: nx.MultiDiGraph[str]) -> dict[str, Any]:
    """Return `graph` as plain data: boxes and edges refer to others by number."""
    calls = calls_of(graph)
    leaves = [node for node, kind in graph.nodes(data="kind") if kind in LEAVES]
    number = {node: index for index, node in enumerate([*leaves, *calls])}
    boxes = _Boxes(graph, calls)
    frames = Frames.around(
        [place for _, place in boxes.placed], reaches(data for _, data in graph.nodes(data=True))
    )
    frames = convex(frames, ((tail, head) for tail, head, _ in boxes.edges))
    place = {cluster.id: index for index, cluster in enumerate(frames.clusters)}
    return {
        "backend": str(graph.graph.get("backend", "")),
        "gradients": bool(graph.graph.get("gradients", True)),
        "nodes": [node_facts(node, graph.nodes[node]) for node in number],
        "boxes": [
            [number[node], place.get(frame or "", -1)]
            for (node, _), frame in zip(boxes.placed, frames.members, strict=True)
        ],
        "frames": [
            {"label": each.label, "scope": each.tooltip, "parent": place.get(each.parent or "", -1)}
            for each in frames.clusters
        ],
        "edges": [
            {"from": tail, "to": head, **edge_facts(data)} for tail, head, data in boxes.edges
        ],
        "scale": _scale(graph),
        "glossary": GLOSSARY,
    }


def _scale(graph: nx.MultiDiGraph[str]) -> list[int] | None:
    """Return the powers of ten between which the downstream gradients lie."""
    norms = (data.norm for _, _, data in graph.edges(data="downstream_gradient") if data)
    scale = Magnitudes.of(norm for norm in norms if norm is not None)
    return None if scale is None else [scale.low, scale.high]


class _Boxes:
    """The boxes of a graph in the order of its calls: a leaf has one for uses that lie near."""

    def __init__(self, graph: nx.MultiDiGraph[str], calls: list[str]) -> None:
        self.graph = graph
        self.placed: list[tuple[str, Place]] = []
        self.edges: list[tuple[int, int, Mapping[str, Any]]] = []
        self.boxes: dict[str, int] = {}
        self.leaves: dict[tuple[str, Place], tuple[int, int]] = {}
        for position, call in enumerate(calls):
            self.add_call(call, position)
        for node, kind in graph.nodes(data="kind"):
            if kind in LEAVES and not graph.out_degree(node):
                self.add(node, Place())

    def add_call(self, call: str, position: int) -> None:
        place = _place(self.graph.nodes[call])
        incoming = sorted(
            self.graph.in_edges(call, keys=True, data=True), key=lambda edge: _order(edge[2])
        )
        tails = [
            self.leaf(tail, place, position) if self.is_leaf(tail) else self.boxes[tail]
            for tail, _, _, _ in incoming
        ]
        self.boxes[call] = self.add(call, place)
        for tail, (_, _, _, data) in zip(tails, incoming, strict=True):
            self.edges.append((tail, self.boxes[call], data))

    def leaf(self, node: str, place: Place, position: int) -> int:
        """Return the box of a leaf for a use at `place`."""
        if self.graph.nodes[node]["kind"] == "input":
            place = Place()
        box, last = self.leaves.get((node, place), (-1, -NEAR - 1))
        if position - last > NEAR:
            box = self.add(node, place)
        self.leaves[node, place] = box, position
        return box

    def is_leaf(self, node: str) -> bool:
        return self.graph.nodes[node]["kind"] in LEAVES

    def add(self, node: str, place: Place) -> int:
        self.placed.append((node, place))
        return len(self.placed) - 1


def _order(key: object) -> tuple[int, str]:
    return (key, "") if isinstance(key, int) else (-1, str(key))


def _place(data: Mapping[str, Any]) -> Place:
    """Return where a call belongs: in the frame of its scope, a folded scope in the one around."""
    scope = data["scope"]
    if data.get("folded"):
        scope = scope.rpartition(".")[0]
    return Place(scope, tuple(data["invocations"]))
