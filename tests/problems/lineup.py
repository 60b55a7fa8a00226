"""Which nodes of two graphs of one program correspond."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

import gradtrace
from tests.problems.spelling import OPS

__all__ = ["Lineup", "line_up"]

Edge = tuple[str, dict[str, Any]]

Call = tuple[str, str, Any]
"""A node with its operation and its value."""


class Lineup(NamedTuple):
    """The nodes of one graph, each with its like in the other."""

    nodes: dict[str, str]
    calls: dict[str, str]
    left: tuple[list[str], list[str]]
    """Calls of either graph without their like."""

    def edges(self, first: gradtrace.Graph, second: gradtrace.Graph) -> Iterator[tuple[Edge, Edge]]:
        """Yield the uses of differentiable operands in pairs."""
        for call, like in self.calls.items():
            if not first.nodes[call]["differentiable"]:
                continue
            yield from zip(operands(first, call), operands(second, like), strict=True)


def line_up(first: gradtrace.Graph, second: gradtrace.Graph, *, by_value: bool = False) -> Lineup:
    """Pair the calls of two graphs in order, with the leaves and items that they take.

    Calls of operations that correspond are pairs; told so, only if they made the same value.
    """
    calls = _common(_calls(first), _calls(second), by_value)
    nodes = dict(calls)
    for call, like in calls.items():
        pairs = zip(operands(first, call), operands(second, like), strict=True)
        for (operand, _), (other, _) in pairs:
            known = nodes.setdefault(operand, other)
            assert known == other, f"{operand} is {known} here, {other} there"
    assert len(set(nodes.values())) == len(nodes), f"two nodes have one like: {nodes}"
    left = [node for node, _, _ in _calls(first) if node not in calls]
    others = [node for node, _, _ in _calls(second) if node not in calls.values()]
    return Lineup(nodes, calls, (left, others))


def operands(graph: gradtrace.Graph, call: str) -> list[Edge]:
    """Return the differentiable operands of a call in order, with the edges."""
    edges = sorted(graph.in_edges(call, keys=True, data=True), key=lambda edge: edge[2])
    return [(node, data) for node, _, _, data in edges if graph.nodes[node]["differentiable"]]


def _calls(graph: gradtrace.Graph) -> list[Call]:
    return [
        (node, data["op"], data["value"])
        for node, data in graph.nodes(data=True)
        if data["kind"] == "call"
    ]


def _correspond(first: Call, second: Call, by_value: bool) -> bool:
    (_, op, value), (_, other, like) = first, second
    if op != other and other not in OPS.get(op, ()):
        return False
    if not by_value:
        return True
    left, right = (getattr(each, "array", None) for each in (value, like))
    known = left is not None and right is not None
    return known and left.shape == right.shape and np.allclose(left, right, rtol=1e-8)


def _common(first: list[Call], second: list[Call], by_value: bool) -> dict[str, str]:
    """Return the longest common subsequence of two lists of calls."""
    lengths = [[0] * (len(second) + 1) for _ in range(len(first) + 1)]
    for i in reversed(range(len(first))):
        for j in reversed(range(len(second))):
            same = _correspond(first[i], second[j], by_value)
            skipped = max(lengths[i + 1][j], lengths[i][j + 1])
            lengths[i][j] = max(skipped, 1 + lengths[i + 1][j + 1] if same else 0)
    pairs, i, j = {}, 0, 0
    while i < len(first) and j < len(second):
        same = _correspond(first[i], second[j], by_value)
        if same and lengths[i][j] == 1 + lengths[i + 1][j + 1]:
            pairs[first[i][0]] = second[j][0]
            i, j = i + 1, j + 1
            continue
        i, j = (i + 1, j) if lengths[i + 1][j] >= lengths[i][j + 1] else (i, j + 1)
    return pairs
