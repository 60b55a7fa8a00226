"""Find the calls at which NaN and infinity come up, in the forward and in the backward pass."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import networkx as nx
import numpy as np

from gradtrace.analysis.agreement import count_nonfinite
from gradtrace.analysis.diagnose.causes import singular, why_infinite_slope, why_nonfinite
from gradtrace.analysis.diagnose.findings import Finding, Report
from gradtrace.analysis.diagnose.halves import overflowed
from gradtrace.analysis.diagnose.origins import forward_origins, is_nan, lost
from gradtrace.analysis.diagnose.thresholds import Thresholds
from gradtrace.analysis.flow import Edge, in_run_order, parts_of

__all__ = ["find_nonfinite_gradients", "find_nonfinite_values"]


def find_nonfinite_values(graph: nx.MultiDiGraph[str], thresholds: Thresholds) -> Iterator[Report]:
    """Report the nodes at which NaN, or an infinity that does harm, comes up."""
    for origin in forward_origins(graph):
        if overflowed(graph, origin.node):
            continue
        data = graph.nodes[origin.node]
        what = "NaN" if any(map(is_nan, parts_of(data["value"]))) else "infinity"
        cause, remedy = why_nonfinite(graph, origin.node, what)
        numbers = {
            "elements": sum(count_nonfinite(part) for part in parts_of(data["value"])),
            "of": sum(part.size for part in parts_of(data["value"])),
            "nodes_after": origin.after,
        }
        source = data.get("source")
        yield Finding("nonfinite_value", "error", origin.node, None, numbers, cause, remedy, source)


def find_nonfinite_gradients(
    graph: nx.MultiDiGraph[str], thresholds: Thresholds
) -> Iterator[Report]:
    """Report the edges that turn a finite gradient into NaN or infinity, or are about to."""
    harmed = bool(forward_origins(graph))
    for operand, result, key, data in graph.edges(keys=True, data=True):
        edge = (operand, result, key)
        share = data.get("downstream_gradient")
        if share is None:
            yield from _latent(graph, edge, data)
        elif (
            lost(share)
            and not _was_lost(graph, edge, harmed=harmed)
            and not overflowed(graph, result, share)
        ):
            yield _at_edge(graph, edge, count_nonfinite(share), share.size)
    for node in in_run_order(graph):
        data = graph.nodes[node]
        seed = data.get("seed")
        if seed is not None and lost(seed):
            cause = "the gradient given to the backward pass is not finite"
            remedy = "look at what is passed to backward(gradient)"
            numbers = {"elements": count_nonfinite(seed)}
            source = data.get("source")
            yield Finding("nonfinite_gradient", "error", node, None, numbers, cause, remedy, source)


def _was_lost(graph: nx.MultiDiGraph[str], edge: Edge, *, harmed: bool) -> bool:
    """Tell whether an edge only passes on what is not finite already.

    An infinity that does no harm forward, since it is not chosen, does harm backward: 0 · ∞ is NaN.
    """
    _, result, _ = edge
    above = parts_of(graph.nodes[result].get("upstream_gradient"))
    values = parts_of(graph.nodes[result].get("value"))
    inputs = [
        part
        for other in graph.predecessors(result)
        for part in parts_of(graph.nodes[other].get("value"))
    ]
    return (
        any(map(lost, above))
        or any(map(is_nan, [*inputs, *values]))
        or (harmed and any(map(lost, values)))
        or graph.nodes[result].get("kind") == "item"
    )


def _latent(graph: nx.MultiDiGraph[str], edge: Edge, data: dict[str, Any]) -> Iterator[Report]:
    """Yield a finding where the derivative is infinite, though no gradient came there yet."""
    derivative = data.get("local_derivative")
    if derivative is None or _was_lost(graph, edge, harmed=True):
        return
    array = derivative.array
    if array is not None and not np.isfinite(array).all():
        yield _at_edge(graph, edge, int((~np.isfinite(array)).sum()), array.size)
    elif array is None and singular(graph, edge):
        yield _at_edge(graph, edge, None, None)


def _at_edge(
    graph: nx.MultiDiGraph[str], edge: Edge, elements: int | None, of: int | None
) -> Finding:
    cause, remedy = why_infinite_slope(graph, edge)
    numbers = {"elements": elements, "of": of}
    source = graph.nodes[edge[1]].get("source")
    return Finding("nonfinite_gradient", "error", edge[1], edge, numbers, cause, remedy, source)
