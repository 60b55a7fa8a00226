"""Find gradients that are exactly zero, with the calls that make them so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import networkx as nx

from gradtrace.analysis.agreement import finite
from gradtrace.analysis.diagnose.findings import Finding, Report
from gradtrace.analysis.diagnose.halves import underflowed
from gradtrace.analysis.diagnose.thresholds import Thresholds
from gradtrace.analysis.diagnose.trunk import is_leaf, size_of
from gradtrace.analysis.flow import Edge, norm_of, parts_of, shown

__all__ = ["find_zero_gradients"]

STEPS = ("round", "floor", "ceil", "trunc", "sign", "sgn", "heaviside", "frac", "round_", "sign_")
"""Operations whose derivative is 0 everywhere."""


def find_zero_gradients(graph: nx.MultiDiGraph[str], thresholds: Thresholds) -> Iterator[Report]:
    """Report the edges that let nothing back to leaves which wait for a gradient."""
    origins: dict[Edge, list[str]] = {}
    for node, data in graph.nodes(data=True):
        asks = is_leaf(data) and data.get("differentiable")
        if asks and size_of(graph, node) and _is_zero(data):
            for edge in _origins(graph, node):
                origins.setdefault(edge, []).append(node)
    for edge, leaves in origins.items():
        above = parts_of(graph.nodes[edge[1]].get("upstream_gradient"))
        share = graph.edges[edge]["downstream_gradient"]
        if len(above) == 1 and share and underflowed(above[0], share, thresholds.underflow):
            continue
        yield _finding(graph, edge, leaves)


def _is_zero(data: dict[str, Any]) -> bool:
    parts = parts_of(data.get("upstream_gradient"))
    return bool(parts) and all(part.norm == 0 for part in parts)


def _origins(graph: nx.MultiDiGraph[str], start: str) -> list[Edge]:
    """Return the edges on which a gradient that is not 0 becomes so, on the ways to `start`."""
    found: list[Edge] = []
    seen, waiting = {start}, [start]
    for node in waiting:  # grows while it is walked
        for operand, result, key, data in graph.out_edges(node, keys=True, data=True):
            if data.get("local_derivative") is None:
                continue
            norm = norm_of(graph.nodes[result].get("upstream_gradient"))
            if norm:
                found.append((operand, result, key))
            elif norm == 0 and result not in seen:
                seen.add(result)
                waiting.append(result)
    return found


def _finding(graph: nx.MultiDiGraph[str], edge: Edge, leaves: list[str]) -> Finding:
    result = edge[1]
    severity, why, remedy = _why(graph, edge)
    who = leaves[0] if len(leaves) == 1 else f"{len(leaves)} leaves, such as {leaves[0]}"
    cause = f"the gradient is exactly 0 at {who}: {why}"
    numbers = {
        "leaves": len(leaves),
        "upstream": norm_of(graph.nodes[result].get("upstream_gradient")),
        "names": leaves[:16],
    }
    node = leaves[0] if len(leaves) == 1 else result
    source = graph.nodes[result].get("source")
    return Finding("zero_gradient", severity, node, edge, numbers, cause, remedy, source)


def _why(graph: nx.MultiDiGraph[str], edge: Edge) -> tuple[str, str, str]:
    """Return severity, reason and remedy for an edge that passes nothing back."""
    operand, result, _ = edge
    op = str(graph.nodes[result].get("op"))
    if op in STEPS:
        why = f"the derivative of {op} is 0 everywhere"
        return "warning", why, "let the gradient pass straight through, x + (f(x) − x).detach()"
    if not size_of(graph, operand) or not size_of(graph, result):
        return "note", f"nothing came through {result}, whose value is empty", "nothing"
    gate = _zero_factor(graph, edge)
    if gate is not None:
        why = f"{result} multiplies by {gate}, which is all 0"
        if _learns(graph, gate):
            return "note", f"{why} as yet, but learns", "nothing, if it begins at 0 on purpose"
        made = graph.nodes[gate].get("kind") == "constant"
        remedy = "look at what makes it 0; initialize with other numbers than 0"
        return "note" if made else "warning", why, remedy
    if size_of(graph, operand) < size_of(graph, result) and _is_sum(graph, edge):
        why = f"what {result} passes back cancels in the sum over the batch"
        return "note", why, "leave it out if a normalization follows: it has no effect there"
    if op.startswith("relu") and norm_of(graph.nodes[result].get("value")) == 0:
        return "warning", f"{result} is 0 for every element", "see the rule dead_relu"
    low = finite(getattr(graph.nodes[operand].get("value"), "min", None))
    high = finite(getattr(graph.nodes[operand].get("value"), "max", None))
    reach = f", whose operand lies in {shown(low)} to {shown(high)}" if low is not None else ""
    return (
        "warning",
        f"{result} passes nothing back to {operand}{reach}",
        ("look at where this call is constant, and keep its operand away from there"),
    )


def _zero_factor(graph: nx.MultiDiGraph[str], edge: Edge) -> str | None:
    """Return the other operand of a product that is all 0."""
    if str(graph.nodes[edge[1]].get("op")).startswith(SUMS):
        return None
    others = dict.fromkeys(graph.predecessors(edge[1]))
    return next(
        (
            other
            for other in others
            if other != edge[0]
            and size_of(graph, other)
            and norm_of(graph.nodes[other].get("value")) == 0
            and not _is_bias(graph, other, edge)
        ),
        None,
    )


def _learns(graph: nx.MultiDiGraph[str], node: str) -> bool:
    """Tell whether a gradient that is not 0 comes back through `node` to a leaf."""
    seen, waiting = {node}, [node]
    while waiting:
        current = waiting.pop()
        data = graph.nodes[current]
        if is_leaf(data) and data.get("differentiable") and norm_of(data.get("upstream_gradient")):
            return True
        for operand, _, share in graph.in_edges(current, data="downstream_gradient"):
            if operand not in seen and norm_of(share):
                seen.add(operand)
                waiting.append(operand)
    return False


SUMS = ("add", "sub", "iadd", "isub", "radd", "rsub", "cat", "stack", "where")
"""How operations begin that multiply by no operand."""


def _is_bias(graph: nx.MultiDiGraph[str], other: str, edge: Edge) -> bool:
    uses = graph.get_edge_data(other, edge[1]) or {}
    return any(data.get("operand") in ("bias", "running_mean") for data in uses.values())


def _is_sum(graph: nx.MultiDiGraph[str], edge: Edge) -> bool:
    op = str(graph.nodes[edge[1]].get("op"))
    return op.startswith(SUMS) or graph.edges[edge].get("operand") == "bias"
