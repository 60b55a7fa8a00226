"""Find losses that broadcast a prediction against its target by accident."""

from __future__ import annotations

import math
from collections.abc import Iterator

import networkx as nx
import numpy as np

from gradtrace.analysis.diagnose.findings import Finding, Report
from gradtrace.analysis.diagnose.thresholds import Thresholds
from gradtrace.analysis.diagnose.trunk import trunk_of
from gradtrace.summary import Summary

__all__ = ["find_loss_broadcasts"]

LOSSES = (
    *("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "poisson_nll_loss", "kl_div"),
    *("gaussian_nll_loss", "soft_margin_loss"),
)
"""Losses that compare element by element."""

DIFFERENCES = (
    *("sub", "rsub", "subtract", "isub", "sub_", "eq", "ne", "mul", "div", "squared_difference"),
    *("pow", "dist", "add", "where", "maximum", "minimum"),
)
"""Elementwise operations that losses are written with."""


def find_loss_broadcasts(graph: nx.MultiDiGraph[str], thresholds: Thresholds) -> Iterator[Report]:
    """Report (N,) against (N, 1) and the like, which make N × N differences of N."""
    trunk = trunk_of(graph)
    for node, op in graph.nodes(data="op"):
        if op not in LOSSES and (op not in DIFFERENCES or node in trunk.below):
            continue
        edges = sorted(graph.in_edges(node, keys=True), key=lambda edge: edge[2])[:2]
        values = [graph.nodes[operand].get("value") for operand, _, _ in edges]
        if len(values) == 2 and all(isinstance(value, Summary) for value in values):
            one, other = values[0].shape, values[1].shape
            differ = [bool(graph.nodes[edge[0]].get("differentiable")) for edge in edges]
            if differ[0] != differ[1] and _by_accident(one, other, loss=op in LOSSES):
                yield _finding(graph, node, edges, one, other)


def _by_accident(one: tuple[int, ...], other: tuple[int, ...], *, loss: bool) -> bool:
    """Tell whether two shapes make more of a broadcast than either has.

    >>> _by_accident((8,), (8, 1), loss=False), _by_accident((8, 1), (8, 4), loss=False)
    (True, False)
    """
    if one == other or min(math.prod(one), math.prod(other)) < 2:
        return False
    try:
        size = math.prod(np.broadcast_shapes(one, other))
    except ValueError:
        return False
    largest = max(math.prod(one), math.prod(other))
    return size > largest and (loss or math.prod(one) == math.prod(other))


def _finding(
    graph: nx.MultiDiGraph[str],
    node: str,
    edges: list[tuple[str, str, int]],
    one: tuple[int, ...],
    other: tuple[int, ...],
) -> Finding:
    size = math.prod(np.broadcast_shapes(one, other))
    first, second = edges[0][0], edges[1][0]
    cause = (
        f"shape {one} of {first} and {other} of {second} are broadcast against each other: "
        f"{size:,} pairs instead of {max(math.prod(one), math.prod(other)):,}"
    )
    remedy = "give both the same shape, with squeeze(-1) or unsqueeze(-1)"
    numbers = {"shapes": (one, other), "pairs": size}
    source = graph.nodes[node].get("source")
    return Finding("loss_broadcast", "warning", node, edges[0], numbers, cause, remedy, source)
