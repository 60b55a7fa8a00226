"""Find fan-outs at which the gradients of the uses cancel each other."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import networkx as nx

from gradtrace.analysis.agreement import finite
from gradtrace.analysis.diagnose.findings import Finding, Report
from gradtrace.analysis.diagnose.thresholds import Thresholds
from gradtrace.analysis.diagnose.trunk import Trunk, size_of, trunk_of
from gradtrace.analysis.flow import Edge, shown
from gradtrace.summary import Summary

__all__ = ["find_conflicts"]

RULE = "conflict"


def find_conflicts(graph: nx.MultiDiGraph[str], thresholds: Thresholds) -> Iterator[Report]:
    """Report values whose uses pull in opposite directions, so that most of it is lost."""
    trunk: Trunk | None = None
    for node, total in graph.nodes(data="upstream_gradient"):
        shares = [
            ((operand, result, key), share)
            for operand, result, key, share in graph.out_edges(
                node, keys=True, data="downstream_gradient"
            )
            if share is not None
        ]
        if len(shares) < 2 or not isinstance(total, Summary) or size_of(graph, node) < 2:
            continue
        norms = [finite(share.norm) for _, share in shares]
        whole = finite(total.norm)
        length = math.hypot(*(norm for norm in norms if norm is not None))
        if whole is None or None in norms or not length or whole > thresholds.conflict * length:
            continue
        trunk = trunk or trunk_of(graph)
        yield _finding(trunk, node, [edge for edge, _ in shares], whole, norms)


def _finding(
    trunk: Trunk, node: str, edges: Sequence[Edge], whole: float, norms: Sequence[float | None]
) -> Finding:
    graph = trunk.graph
    length = math.hypot(*(norm for norm in norms if norm is not None))
    listed = ", ".join(
        f"{shown(norm)} from {edge[1]}" for edge, norm in list(zip(edges, norms, strict=True))[:4]
    )
    more = f" and {len(edges) - 4:,} more" if len(edges) > 4 else ""
    cause = f"its uses pull against each other: of {listed}{more}, {shown(whole)} is left"
    numbers = {
        "ratio": whole / length,
        "uses": len(edges),
        "sum": whole,
        "cosine": _cosine(whole, norms),
    }
    source = graph.nodes[node].get("source")
    if node not in trunk.activations or _one_function(graph, trunk, edges):
        remedy = "nothing, if this is one function of it, or if training has converged"
        return Finding(RULE, "note", node, edges[0], numbers, cause, remedy, source)
    remedy = "weigh the losses, give each its own layers, or project conflicting gradients (PCGrad)"
    return Finding(RULE, "warning", node, edges[0], numbers, cause, remedy, source)


def _cosine(whole: float, norms: Sequence[float | None]) -> float | None:
    """Return the cosine between two shares, which follows from the norms."""
    if len(norms) != 2 or not norms[0] or not norms[1]:
        return None
    return (whole**2 - norms[0] ** 2 - norms[1] ** 2) / (2 * norms[0] * norms[1])


def _one_function(graph: nx.MultiDiGraph[str], trunk: Trunk, edges: Sequence[Edge]) -> bool:
    """Tell whether the uses meet again with no parameter between, as those of x / ‖x‖ do."""
    seen: set[str] = set()
    for edge in edges:
        reach, waiting = {edge[1]}, [edge[1]]
        while waiting:
            node = waiting.pop()
            if node in trunk.parametric:
                continue
            for result in graph.successors(node):
                if result not in reach and size_of(graph, result) > 1:
                    reach.add(result)
                    waiting.append(result)
        if seen & reach:
            return True
        seen |= reach
    return False
