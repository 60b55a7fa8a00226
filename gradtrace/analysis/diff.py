"""Find the first node at which two runs part, in the forward and in the backward pass."""

from __future__ import annotations

import math
from dataclasses import dataclass

import networkx as nx

from gradtrace.analysis.agreement import Outcome
from gradtrace.analysis.alignment import align
from gradtrace.analysis.comparison import Limits, judge, pairs, reach, worst
from gradtrace.analysis.flow import in_run_order, shown
from gradtrace.analysis.report import Report
from gradtrace.analysis.tables import columns
from gradtrace.errors import OptionError
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
    """What they were aligned by: `id`, `name`, `structure`, `value` or `place`."""
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
class Difference(Report):
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

    >>> from gradtrace.summary import Summary
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
    limits = Limits(a, b, tolerance)
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


def _row(
    a: nx.MultiDiGraph[str],
    b: nx.MultiDiGraph[str],
    pair: tuple[str, str],
    by: str,
    limits: Limits,
) -> Row:
    one, other = pair
    left, right = a.nodes[one], b.nodes[other]
    values = list(pairs(left.get("value"), right.get("value")))
    gradients = list(pairs(left.get("upstream_gradient"), right.get("upstream_gradient")))
    value = worst([judge(x, y, limits.of_values(pair, x, y)) for x, y in values])
    tolerance = limits.of_gradients(max(reach(a, one), reach(b, other)))
    gradient = worst([judge(x, y, tolerance) for x, y in gradients])
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


def _cell(error: float | None, *, parts: bool) -> str:
    text = "–" if error is None else shown(error)
    return f"{text} !" if parts else text
