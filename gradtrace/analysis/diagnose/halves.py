"""Find half-precision numbers that overflow, or underflow to zero."""

from __future__ import annotations

from collections.abc import Iterator

import networkx as nx

from gradtrace.analysis.agreement import count_nonfinite, finite
from gradtrace.analysis.diagnose.findings import Finding, Report
from gradtrace.analysis.diagnose.origins import forward_origins, is_nan, lost, masks
from gradtrace.analysis.diagnose.thresholds import Thresholds
from gradtrace.analysis.flow import parts_of, shown
from gradtrace.summary import Summary

__all__ = ["find_overflow", "find_underflow", "overflowed", "underflowed"]

LARGEST = {
    "float16": 65504.0,
    "bfloat16": 3.39e38,
    "float8_e4m3fn": 448.0,
    "float8_e5m2": 57344.0,
}

NARROW = ("float16", "float8_e4m3fn", "float8_e5m2")
"""Types with so few exponents that usual gradients underflow."""

UNBOUNDED = ("div", "truediv", "reciprocal", "rsqrt", "log", "rdiv", "rtruediv")
"""Operations that are infinite in any precision where they are in half."""


def overflowed(graph: nx.MultiDiGraph[str], node: str, gradient: Summary | None = None) -> bool:
    """Tell whether a value, or else a gradient, is lost since it is too large for its type."""
    parts = parts_of(graph.nodes[node].get("value")) if gradient is None else (gradient,)
    narrow = [part for part in parts if part.dtype in LARGEST and lost(part)]
    op = str(graph.nodes[node].get("op"))
    if not narrow or masks(graph, node) or op.startswith(UNBOUNDED):
        return False
    if gradient is None and all(map(is_nan, narrow)):
        return False
    return gradient is None or not any(map(is_nan, narrow))


def find_overflow(graph: nx.MultiDiGraph[str], thresholds: Thresholds) -> Iterator[Report]:
    """Report values and gradients too large for their type."""
    remedy = "run this call in float32 or bfloat16, or scale its operands down"
    told = set()
    for origin in forward_origins(graph):
        if overflowed(graph, origin.node):
            told.add(origin.node)
            yield _overflow(graph, origin.node, parts_of(graph.nodes[origin.node]["value"]), remedy)
    for node in graph:
        if node not in told and overflowed(graph, node) and not _passed_on(graph, node):
            yield _overflow(graph, node, parts_of(graph.nodes[node]["value"]), remedy)
    for operand, result, key, share in graph.edges(keys=True, data="downstream_gradient"):
        if share is None or not lost(share) or not overflowed(graph, result, share):
            continue
        if not any(map(lost, parts_of(graph.nodes[result].get("upstream_gradient")))):
            remedy = "lower the loss scale, as torch.amp.GradScaler does by itself"
            yield _overflow(graph, result, (share,), remedy, (operand, result, key))


def _passed_on(graph: nx.MultiDiGraph[str], node: str) -> bool:
    return any(
        lost(part)
        for operand in graph.predecessors(node)
        for part in parts_of(graph.nodes[operand].get("value"))
    )


def _overflow(
    graph: nx.MultiDiGraph[str],
    node: str,
    parts: tuple[Summary, ...],
    remedy: str,
    edge: tuple[str, str, int] | None = None,
) -> Finding:
    part = next(part for part in parts if lost(part))
    what = "its result" if edge is None else f"the gradient of {edge[0]}"
    cause = f"{what} is too large for {part.dtype}, which ends at {shown(LARGEST[part.dtype])}"
    numbers = {"elements": count_nonfinite(part), "of": part.size, "largest": LARGEST[part.dtype]}
    source = graph.nodes[node].get("source")
    return Finding("overflow", "error", node, edge, numbers, cause, remedy, source)


def underflowed(upstream: Summary, share: Summary, limit: float) -> bool:
    """Tell whether a gradient became 0 since it is too small for its type."""
    before, peak = finite(upstream.norm), _peak(upstream)
    return (
        share.dtype in NARROW
        and share.norm == 0
        and bool(before)
        and (upstream.dtype not in NARROW or (peak is not None and peak < limit))
    )


def find_underflow(graph: nx.MultiDiGraph[str], thresholds: Thresholds) -> Iterator[Report]:
    """Report half-precision gradients that are 0, or lose bits, since they are too small."""
    remedy = "scale the loss up, as torch.amp.GradScaler does, or use bfloat16"
    for operand, result, key, share in graph.edges(keys=True, data="downstream_gradient"):
        above = parts_of(graph.nodes[result].get("upstream_gradient"))
        if share is None or share.dtype not in NARROW or len(above) != 1:
            continue
        peak, before = _peak(share), _peak(above[0])
        small = peak is not None and 0 < peak < thresholds.underflow
        first = before is not None and (
            above[0].dtype not in NARROW or before >= thresholds.underflow
        )
        zero = underflowed(above[0], share, thresholds.underflow)
        if not zero and not (small and first):
            continue
        where = "is 0, since it is" if zero else "is so small that it loses bits: at most"
        size = f" too small for {share.dtype}" if zero else f" {shown(peak)} in {share.dtype}"
        cause = f"the gradient of {operand} {where}{size}"
        numbers = {"largest": peak, "upstream_largest": before}
        severity = "error" if zero else "warning"
        source = graph.nodes[result].get("source")
        edge = (operand, result, key)
        yield Finding("underflow", severity, result, edge, numbers, cause, remedy, source)
    yield from _values(graph)


def _values(graph: nx.MultiDiGraph[str]) -> Iterator[Report]:
    """Report casts to half precision whose result is 0 though their operand is not."""
    for operand, result in graph.edges():
        before = parts_of(graph.nodes[operand].get("value"))
        after = parts_of(graph.nodes[result].get("value"))
        if len(before) != 1 or len(after) != 1 or str(graph.nodes[result].get("op")) not in CASTS:
            continue
        if after[0].dtype in NARROW and after[0].norm == 0 and before[0].norm:
            cause = f"its operand, at most {shown(_peak(before[0]))}, is 0 in {after[0].dtype}"
            numbers = {"largest_operand": _peak(before[0])}
            remedy = "keep this value in float32 or bfloat16"
            source = graph.nodes[result].get("source")
            yield Finding("underflow", "error", result, None, numbers, cause, remedy, source)


CASTS = ("to", "half", "type", "float16", "type_as", "_to_copy")


def _peak(summary: Summary) -> float | None:
    low, high = finite(summary.min), finite(summary.max)
    return None if low is None or high is None else max(abs(low), abs(high))
