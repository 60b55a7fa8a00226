"""Read off a graph how its gradient flows: in what order, how strong, along which edges."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import Any

import networkx as nx

from gradtrace.analysis.agreement import finite
from gradtrace.errors import GradtraceError, OptionError
from gradtrace.summary import Summary

__all__ = [
    "Edge",
    "carrying",
    "find",
    "in_run_order",
    "norm_of",
    "outputs",
    "parts_of",
    "reached",
    "shown",
]

Edge = tuple[str, str, int]
"""Operand, result and key of an edge."""

Parts = Summary | tuple[Summary | None, ...] | None


def in_run_order(graph: nx.MultiDiGraph[str]) -> list[str]:
    """Return the nodes from operands to results, in the order of the run where that is one.

    Raises `GradtraceError` for a graph with a cycle.
    """
    position = {node: number for number, node in enumerate(graph)}
    if all(position[operand] < position[result] for operand, result in graph.edges()):
        return list(graph)
    try:
        return list(nx.topological_sort(graph))
    except nx.NetworkXUnfeasible:
        raise GradtraceError(
            "the graph has a cycle, but values flow one way only; "
            "graph.check() names the nodes on the cycle"
        ) from None


def parts_of(value: Parts) -> tuple[Summary, ...]:
    """Return what is known of a value or gradient: one summary, or one for each result."""
    parts = value if isinstance(value, tuple) else (value,)
    return tuple(part for part in parts if part is not None)


def norm_of(value: Parts) -> float | None:
    """Return the norm, of several results together; None where it is not finite or not known.

    >>> norm_of((Summary.of([3.0]), None, Summary.of([4.0]))), norm_of(None)
    (5.0, None)
    """
    norms = [finite(part.norm) for part in parts_of(value)]
    known = [norm for norm in norms if norm is not None]
    return math.hypot(*known) if known and len(known) == len(norms) else None


def carrying(edges: Iterable[tuple[Any, ...]]) -> Iterator[tuple[str, str, int, dict[str, Any]]]:
    """Yield those `edges` (with keys and data) through which a gradient can come back."""
    for operand, result, key, data in edges:
        known = data.get("local_derivative"), data.get("downstream_gradient")
        if known != (None, None):
            yield operand, result, key, data


def reached(graph: nx.MultiDiGraph[str], start: str, *, back: bool = False) -> set[str]:
    """Return the nodes that gradients lead to `start` from, or `back` from it to, with itself."""
    found, waiting = {start}, [start]
    while waiting:
        node = waiting.pop()
        edges = graph.in_edges if back else graph.out_edges
        for operand, result, _, _ in carrying(edges(node, keys=True, data=True)):
            other = operand if back else result
            if other not in found:
                found.add(other)
                waiting.append(other)
    return found


def outputs(graph: nx.MultiDiGraph[str]) -> list[str]:
    """Return the nodes at which a backward pass began."""
    return [node for node, seed in graph.nodes(data="seed") if seed is not None]


def find(graph: nx.MultiDiGraph[str], name: str) -> str:
    """Return the node with this id, or the one that has this among its names.

    Raises `OptionError` where there is none.
    """
    if name in graph:
        return name
    for node, names in graph.nodes(data="names"):
        if name in (names or ()):
            return str(node)
    close = get_close_matches(str(name), list(graph), n=3) or list(graph)[:3]
    listed = ", ".join(repr(node) for node in close) or "none: the graph is empty"
    raise OptionError(f"no node is named {name!r}; among the nodes there are {listed}")


def shown(number: float | None) -> str:
    """Write a number in at most 3 significant digits.

    >>> [shown(x) for x in (0.123456, 1234.5, 1e-9, 0.0, float("nan"), None)]
    ['0.123', '1,234', '1e-09', '0', 'NaN', 'not computed']
    """
    if number is None:
        return "not computed"
    if not math.isfinite(number):
        return "NaN" if math.isnan(number) else ("Inf" if number > 0 else "-Inf")
    return f"{number:,.0f}" if 999.5 <= abs(number) < 99999.5 else f"{number:.3g}"
