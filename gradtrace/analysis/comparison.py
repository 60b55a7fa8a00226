"""Judge whether the values and gradients of two nodes are the same."""

from __future__ import annotations

from collections.abc import Iterator

import networkx as nx
import numpy as np

from gradtrace.analysis.agreement import (
    TOLERANCES,
    Array,
    Outcome,
    Tolerance,
    elements_of,
    finite,
    judge_elements,
    judge_statistics,
    tolerance_of,
)
from gradtrace.analysis.flow import in_run_order, norm_of, parts_of
from gradtrace.summary import Summary

__all__ = ["Limits", "judge", "pairs", "reach", "worst"]

FINEST = TOLERANCES["float64"]

WHOLE = ("int", "uint", "bool")
"""How types begin whose numbers are exact."""


class Limits:
    """How far apart two nodes may be: as coarse as the coarsest number that they come from."""

    def __init__(
        self, a: nx.MultiDiGraph[str], b: nx.MultiDiGraph[str], relative: float | None
    ) -> None:
        self.relative = relative
        self._values = [_coarsest(graph, in_run_order(graph)) for graph in (a, b)]
        self._all = [max(found.values(), default=FINEST) for found in self._values]

    def of_values(self, pair: tuple[str, str], one: Summary, other: Summary) -> Tolerance:
        """Return the tolerance of the values of a pair of nodes."""
        if one.dtype.startswith(WHOLE) and other.dtype.startswith(WHOLE):
            return FINEST._replace(relative=0.0)
        found = max(known[node] for known, node in zip(self._values, pair, strict=True))
        return self._told(found, 0.0)

    def of_gradients(self, reach: float) -> Tolerance:
        """Return the tolerance of gradients, of which `reach` came together."""
        found = max(self._all)
        return self._told(found, found.noise * reach)

    def _told(self, found: Tolerance, noise: float) -> Tolerance:
        if self.relative is not None:
            return found._replace(relative=self.relative)
        return found._replace(
            floor=max(found.floor, noise), statistic_floor=max(found.statistic_floor, noise)
        )


def _coarsest(graph: nx.MultiDiGraph[str], order: list[str]) -> dict[str, Tolerance]:
    """Return for each node the tolerance of the coarsest floats among what it depends on."""
    found: dict[str, Tolerance] = {}
    for node in order:
        floats = [
            part
            for part in parts_of(graph.nodes[node].get("value"))
            if not part.dtype.startswith(WHOLE)
        ]
        own = tolerance_of(*floats) if floats else FINEST
        found[node] = max([own, *(found[operand] for operand in graph.predecessors(node))])
    return found


def pairs(
    one: Summary | tuple[Summary | None, ...] | None,
    other: Summary | tuple[Summary | None, ...] | None,
) -> Iterator[tuple[Summary, Summary]]:
    """Yield what can be compared: the one tensor of each, or part by part."""
    lefts = one if isinstance(one, tuple) else (one,)
    rights = other if isinstance(other, tuple) else (other,)
    for left, right in zip(lefts, rights, strict=False):
        if left is not None and right is not None:
            yield left, right


def judge(one: Summary, other: Summary, tolerance: Tolerance) -> Outcome:
    """Judge two tensors, by elements where both are kept, else by statistics."""
    if one.shape != other.shape:
        return Outcome("fail", f"shape {one.shape} against {other.shape}")
    left, right = elements_of(one), elements_of(other)
    if left is None or right is None or one.array is None or other.array is None:
        return judge_statistics(one, other, tolerance)
    wide = np.result_type(left, right, np.float64)
    left, right = left.astype(wide), right.astype(wide)
    scale = np.maximum(np.abs(left), np.abs(right))
    outcome = judge_elements(left, right, scale, tolerance)
    if outcome.verdict == "pass" and _unlike(left, right):
        return Outcome("fail", "NaN in one only")
    return outcome


def _unlike(left: Array, right: Array) -> bool:
    return bool((np.isnan(left) != np.isnan(right)).any())


def worst(outcomes: list[Outcome]) -> Outcome:
    """Return the worst of the outcomes of several parts."""
    if not outcomes:
        return Outcome("unverifiable")
    return max(outcomes, key=lambda o: (o.verdict == "fail", finite(o.error) or 0.0))


def reach(graph: nx.MultiDiGraph[str], node: str) -> float:
    """Return how large the gradients are that came together here, whose rounding is noise."""
    return max(
        (
            norm_of(graph.nodes[result].get("upstream_gradient")) or 0.0
            for result in graph.successors(node)
            if parts_of(graph.nodes[result].get("upstream_gradient"))
        ),
        default=0.0,
    )
