"""Trace values that are not finite back to where they came up."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import networkx as nx
import numpy as np

from gradtrace.analysis.diagnose.trunk import is_leaf
from gradtrace.analysis.flow import in_run_order, outputs, parts_of
from gradtrace.summary import Summary

__all__ = ["Origin", "forward_origins", "is_nan", "lost", "masks"]

MASKING = (
    *("masked_fill", "where", "fill", "full", "triu", "tril", "index_fill", "index_put"),
    *("scatter", "masked_scatter", "setitem", "new_full", "_masked", "copy_"),
)
"""How operations begin that put infinity where the user wants it."""


@dataclass(frozen=True, slots=True)
class Origin:
    """A node at which NaN or infinity came up."""

    node: str
    after: int
    """Number of nodes that are not finite because of it."""


def lost(summary: Summary) -> bool:
    """Tell whether a tensor has elements that are NaN or infinite."""
    if summary.nonfinite is not None:
        return summary.nonfinite > 0
    return summary.norm is not None and not math.isfinite(summary.norm)


def is_nan(summary: Summary) -> bool:
    """Tell whether a tensor has elements that are NaN."""
    if not lost(summary):
        return False
    if summary.array is not None and summary.array.dtype.kind in "fc":
        return bool(np.isnan(summary.array).any())
    extremes = [x for x in (summary.min, summary.max, summary.norm) if x is not None]
    return any(math.isnan(x) for x in extremes)


def masks(graph: nx.MultiDiGraph[str], node: str) -> bool:
    """Tell whether infinity is at home in a node: a mask, or a call that applies one."""
    data = graph.nodes[node]
    if is_leaf(data):
        return all(part.max is None or part.max != math.inf for part in parts_of(data["value"]))
    return str(data.get("op")).startswith(MASKING)


def forward_origins(graph: nx.MultiDiGraph[str]) -> list[Origin]:
    """Return where NaN comes up, and infinity that ends in NaN or in an output.

    Infinity that is absorbed, as that of an attention mask is by a softmax, does no harm.
    """
    order = in_run_order(graph)
    state = {node: _state(graph, node) for node in order}
    sources: dict[str, frozenset[str]] = {}
    blamed: dict[str, int] = {}
    for node in order:
        if not state[node]:
            continue
        before = [operand for operand in graph.predecessors(node) if state[operand]]
        inherited = frozenset[str]().union(*(sources[operand] for operand in before))
        if not before:
            sources[node] = frozenset([node])
        elif state[node] == "nan" and all(state[operand] == "inf" for operand in before):
            harmful = {origin for origin in inherited if not masks(graph, origin)}
            sources[node] = frozenset(harmful or [node])
        else:
            sources[node] = inherited
        if state[node] == "nan":
            _count(blamed, sources[node])
    for node in _ends(graph):
        if state[node] == "inf":
            _count(blamed, sources[node])
    return [Origin(node, blamed[node]) for node in order if node in blamed]


def _state(graph: nx.MultiDiGraph[str], node: str) -> str:
    parts = parts_of(graph.nodes[node].get("value"))
    if any(map(is_nan, parts)):
        return "nan"
    return "inf" if any(map(lost, parts)) else ""


def _count(blamed: dict[str, int], origins: Iterable[str]) -> None:
    for origin in origins:
        blamed[origin] = blamed.get(origin, -1) + 1


def _ends(graph: nx.MultiDiGraph[str]) -> list[str]:
    """Return the outputs of the backward pass; without one, what the run ends in."""
    return outputs(graph) or [
        node for node in graph if not graph.out_degree(node) and not is_leaf(graph.nodes[node])
    ]
