"""Find the first node at which two runs part, in the forward and in the backward pass."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

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
from gradtrace.analysis.alignment import align
from gradtrace.analysis.flow import in_run_order, norm_of, parts_of, shown
from gradtrace.analysis.tables import columns
from gradtrace.errors import OptionError
from gradtrace.summary import Summary
from gradtrace.tape import Source

__all__ = ["Difference", "Row", "diff"]

SHOWN = 20
"""Rows of the printed table."""


@dataclass(frozen=True, slots=True)
class Row:
    """One node of `a` with its counterpart in `b`."""

    a: str
    b: str
    by: str
    """What they were aligned by: `id`, `name`, `structure` or `value`."""
    value_error: float | None
    """Largest difference of the values beside their largest magnitude; None if not compared."""
    gradient_error: float | None
    value_parts: bool
    gradient_parts: bool
    compared: str
    """By what: `elements`, or `summaries` where not both runs kept the elements."""
    reason: str | None = None
    source: Source | None = None

    @property
    def parts(self) -> bool:
        """Whether value or gradient parts."""
        return self.value_parts or self.gradient_parts

    @property
    def name(self) -> str:
        """The node, with its name in `b` where that differs."""
        return self.a if self.a == self.b else f"{self.a} ~ {self.b}"


@dataclass(frozen=True, repr=False)
class Difference:
    """How two runs differ."""

    rows: tuple[Row, ...]
    """All nodes that are in both, in forward order."""
    only_in_a: tuple[str, ...]
    only_in_b: tuple[str, ...]

    @property
    def first_value(self) -> Row | None:
        """The first node in forward order whose value parts."""
        return next((row for row in self.rows if row.value_parts), None)

    @property
    def first_gradient(self) -> Row | None:
        """The first node in backward order whose upstream gradient parts."""
        return next((row for row in reversed(self.rows) if row.gradient_parts), None)

    @property
    def parted(self) -> tuple[Row, ...]:
        """Nodes at which value or gradient parts."""
        return tuple(row for row in self.rows if row.parts)

    @property
    def same(self) -> bool:
        """Whether nothing parts, and no node is in one only."""
        return not self.parted and not self.only_in_a and not self.only_in_b

    def __repr__(self) -> str:
        return f"<gradtrace.Difference: {self._counts()}>"

    def __str__(self) -> str:
        lines = [f"diff: {self._counts()}"]
        summaries = sum(row.compared == "summaries" for row in self.rows)
        if summaries:
            what = "all" if summaries == len(self.rows) else f"{summaries:,} of {len(self.rows):,}"
            lines.append(f"  compared by summaries: {what} nodes; trace with keep='all' for more")
        lines += ["", *self._first("forward", "value", self.first_value)]
        lines += self._first("backward", "gradient", self.first_gradient)
        lines += self._table()
        for graph, nodes in (("a", self.only_in_a), ("b", self.only_in_b)):
            if nodes:
                more = f" and {len(nodes) - SHOWN:,} more" if len(nodes) > SHOWN else ""
                lines += ["", f"only in {graph}: {', '.join(nodes[:SHOWN])}{more}"]
        return "\n".join(lines)

    def _counts(self) -> str:
        parted = f"{len(self.parted):,} of {len(self.rows):,} nodes part"
        only = len(self.only_in_a) + len(self.only_in_b)
        return f"{parted}, {only:,} {'is' if only == 1 else 'are'} in one only"

    @staticmethod
    def _first(order: str, what: str, row: Row | None) -> list[str]:
        if row is None:
            return [f"{order}: no {what} parts"]
        place = f" ({row.source.file}:{row.source.line})" if row.source else ""
        error = row.value_error if what == "value" else row.gradient_error
        why = row.reason or f"relative difference {shown(error)}"
        return [f"{order}: the first {what} that parts is that of {row.name}{place}, {why}"]

    def _table(self) -> list[str]:
        parted = self.parted
        if not parted:
            return []
        rows = [["node", "value", "gradient", "aligned by"]]
        rows += [
            [
                row.name,
                _cell(row.value_error, parts=row.value_parts),
                _cell(row.gradient_error, parts=row.gradient_parts),
                row.by,
            ]
            for row in parted[:SHOWN]
        ]
        more = len(parted) - SHOWN
        lines = ["", *columns(rows, align="lrrl")]
        return lines + ([f"  … and {more:,} more nodes; .rows holds all"] if more > 0 else [])


def diff(
    a: nx.MultiDiGraph[str], b: nx.MultiDiGraph[str], *, tolerance: float | None = None
) -> Difference:
    """Align two graphs, and compare values and gradients node by node.

    Args:
        a: One run.
        b: Another, such as that after a change, on another device, or of another engine.
        tolerance: Relative difference up to which tensors are the same; that of the coarser of
            the two types unless told (1e-9 for float64, 1e-4 for float32, 2e-2 for half).

    >>> graph = nx.MultiDiGraph()
    >>> graph.add_node("x", kind="input", value=Summary.of([1.0, 2.0], keep=True))
    >>> other = nx.MultiDiGraph()
    >>> other.add_node("x", kind="input", value=Summary.of([1.0, 2.5], keep=True))
    >>> print(diff(graph, other))
    diff: 1 of 1 nodes part, 0 are in one only
    <BLANKLINE>
    forward: the first value that parts is that of x, relative difference 0.2
    backward: no gradient parts
    <BLANKLINE>
      node  value  gradient  aligned by
      x     0.2 !         –  id
    """
    if tolerance is not None and not (tolerance >= 0 and math.isfinite(tolerance)):
        raise OptionError(f"tolerance={tolerance!r} is no relative difference; use 0 or more")
    found = align(a, b)
    limits = _Limits(a, b, tolerance)
    rows = [
        _row(a, b, (node, found.forth[node]), found.by[node], limits)
        for node in in_run_order(a)
        if node in found.forth
    ]
    return Difference(
        tuple(rows),
        tuple(node for node in in_run_order(a) if node not in found.forth),
        tuple(node for node in in_run_order(b) if node not in found.back),
    )


class _Limits:
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


FINEST = TOLERANCES["float64"]

WHOLE = ("int", "uint", "bool")
"""How types begin whose numbers are exact."""


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


def _row(
    a: nx.MultiDiGraph[str],
    b: nx.MultiDiGraph[str],
    pair: tuple[str, str],
    by: str,
    limits: _Limits,
) -> Row:
    one, other = pair
    left, right = a.nodes[one], b.nodes[other]
    values = list(_pairs(left.get("value"), right.get("value")))
    gradients = list(_pairs(left.get("upstream_gradient"), right.get("upstream_gradient")))
    value = _worst([_judge(x, y, limits.of_values(pair, x, y)) for x, y in values])
    tolerance = limits.of_gradients(max(_reach(a, one), _reach(b, other)))
    gradient = _worst([_judge(x, y, tolerance) for x, y in gradients])
    lone = [d.get("upstream_gradient") is None for d in (left, right)]
    if lone[0] != lone[1] and a.graph.get("gradients", True) and b.graph.get("gradients", True):
        gradient = Outcome("fail", f"only {'b' if lone[0] else 'a'} has a gradient here")
    kept = all(x.array is not None and y.array is not None for x, y in values + gradients)
    reason = next((o.reason for o in (value, gradient) if o.verdict == "fail" and o.reason), None)
    return Row(
        one,
        other,
        by,
        value.error,
        gradient.error,
        value.verdict == "fail",
        gradient.verdict == "fail",
        "elements" if kept else "summaries",
        reason,
        left.get("source"),
    )


def _pairs(
    one: Summary | tuple[Summary | None, ...] | None,
    other: Summary | tuple[Summary | None, ...] | None,
) -> Iterator[tuple[Summary, Summary]]:
    lefts = one if isinstance(one, tuple) else (one,)
    rights = other if isinstance(other, tuple) else (other,)
    for left, right in zip(lefts, rights, strict=False):
        if left is not None and right is not None:
            yield left, right


def _judge(one: Summary, other: Summary, tolerance: Tolerance) -> Outcome:
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


def _worst(outcomes: list[Outcome]) -> Outcome:
    if not outcomes:
        return Outcome("unverifiable")
    return max(outcomes, key=lambda o: (o.verdict == "fail", finite(o.error) or 0.0))


def _reach(graph: nx.MultiDiGraph[str], node: str) -> float:
    """Return how large the gradients are that came together here, whose rounding is noise."""
    return max(
        (
            norm_of(graph.nodes[result].get("upstream_gradient")) or 0.0
            for result in graph.successors(node)
            if parts_of(graph.nodes[result].get("upstream_gradient"))
        ),
        default=0.0,
    )


def _cell(error: float | None, *, parts: bool) -> str:
    text = "–" if error is None else shown(error)
    return f"{text} !" if parts else text
