"""The numbers of a step on their way to a `Step`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from gradtrace.recording.sample import FIELDS, QUANTITIES, Series

__all__ = ["Layout", "Page", "Plan", "Reading", "Row", "Table", "joined", "rows_of", "slots_of"]

Row = tuple[Any, ...]
"""One number, or whatever becomes a number when it is read, for each of `FIELDS`."""

Table = tuple[bytes, bytes]
"""Slots, a C int each, with a row of numbers for each: a C double for each of `FIELDS`."""

_ORDER = {quantity: position for position, quantity in enumerate(QUANTITIES)}
_PLANS = 16
"""Plans that are kept at most: steps differ in what is measured, but not in many ways."""

_LEAST, _LARGEST = FIELDS.index("min"), FIELDS.index("max")


class Reading(Protocol):
    """What was measured in one step; its numbers may still be on their way from a device."""

    def ready(self) -> bool:
        """Tell whether the numbers can be had without waiting."""
        ...

    def numbers(
        self,
    ) -> tuple[dict[str, float], npt.NDArray[np.float64], Mapping[int, npt.NDArray[np.uint32]]]:
        """Return scalars, statistics (a row each) and histograms, in the order of `series`."""
        ...

    @property
    def series(self) -> tuple[Series, ...]:
        """What the rows are of."""
        ...


class Layout:
    """The series of a run, which get their slots as they are first met.

    >>> layout = Layout()
    >>> layout.slot(Series("fc.weight", "gradient", scope="fc")), layout.meet("act")
    (0, None)
    >>> layout.slot(Series("act", "output", "module", scope="act"))
    1
    >>> [series.node for series in layout.series]
    ['act', 'fc.weight']
    """

    def __init__(self) -> None:
        self._slots: dict[Series, int] = {}
        self._by_slot: list[Series] = []
        self._plans: dict[bytes, Plan] = {}
        self._met: dict[str, int] = {}
        self._series: tuple[Series, ...] | None = None

    def slot(self, series: Series) -> int:
        """Return the slot of a series."""
        if series not in self._slots:
            self._slots[series] = len(self._slots)
            self._by_slot.append(series)
            self._series = None
        return self._slots[series]

    def meet(self, scope: str) -> None:
        """Take the forward pass to have come to `scope`, after all others met so far."""
        if scope not in self._met:
            self._met[scope] = len(self._met)
            self._series = None

    @property
    def series(self) -> tuple[Series, ...]:
        """All series in forward order, the same object as long as none is added."""
        if self._series is None:
            first: dict[str, int] = {}
            for each in self._by_slot:
                first.setdefault(each.node, len(first))
            last = len(self._met)
            ordered = sorted(
                self._slots,
                key=lambda each: (
                    self._met.get(each.scope, last),
                    each.kind,  # a module, then its parameters
                    first[each.node],
                    _ORDER[each.quantity],
                ),
            )
            self._series = tuple(ordered)
        return self._series

    def position(self, slot: int, series: tuple[Series, ...]) -> int:
        """Return where in `series`, which were these once, the one in `slot` is."""
        return series.index(self._by_slot[slot])

    def plan(self, slots: npt.NDArray[np.intc], series: tuple[Series, ...]) -> Plan:
        """Return how rows in these slots become the statistics of `series`, which were these once.

        It is the same plan as long as slots and series are.
        """
        key = slots.tobytes()
        found = self._plans.get(key)
        if found is None or found.series is not series:
            if len(self._plans) >= _PLANS:
                self._plans.clear()
            found = self._plans[key] = Plan(slots, series, self._positions_in(series))
        return found

    def _positions_in(self, series: tuple[Series, ...]) -> npt.NDArray[np.intp]:
        """Return for each slot where in `series` its own is, -1 where it is not."""
        positions = np.full(len(self._by_slot), -1, np.intp)
        positions[[self._slots[each] for each in series]] = np.arange(len(series))
        return positions


@dataclass(slots=True)
class Page:
    """What was measured in one step, by slot."""

    rows: list[tuple[int, Row]] = field(default_factory=list)
    """Rows of one slot are parts of one tensor, and merged."""
    tables: list[Table] = field(default_factory=list)
    """More of them, of which all numbers are known."""
    latest: dict[int, Row] = field(default_factory=dict)
    """Rows of which the last one counts."""
    arrived: dict[int, Row] = field(default_factory=dict)
    """Likewise of gradients that no optimizer has taken yet: they count where `latest` has none."""
    histograms: dict[int, Any] = field(default_factory=dict)
    counted: dict[int, Any] = field(default_factory=dict)
    """Histograms of what has `arrived`."""
    scalars: dict[str, Any] = field(default_factory=dict)

    def join(self, later: Page) -> None:
        """Add what a later page of the same step holds."""
        self.rows += later.rows
        self.tables += later.tables
        self.latest |= later.latest
        self.arrived |= later.arrived
        self.histograms |= later.histograms
        self.counted |= later.counted
        self.scalars |= later.scalars

    @property
    def all_rows(self) -> list[tuple[int, Row]]:
        """Every row that counts and is in no table."""
        return [*self.rows, *(self.arrived | self.latest).items()]

    @property
    def all_histograms(self) -> dict[int, Any]:
        """Every histogram that counts."""
        return self.counted | self.histograms


def slots_of(slots: bytes) -> npt.NDArray[np.intc]:
    """Return the slots of a table, shape (rows,)."""
    return np.frombuffer(slots, np.intc)


def rows_of(numbers: bytes) -> npt.NDArray[np.float64]:
    """Return the rows of a table, shape (rows, fields)."""
    return np.frombuffer(numbers, np.float64).reshape(-1, len(FIELDS))


def joined(pages: list[Page]) -> Page:
    """Return the first of the pages of one step, with what the later ones hold."""
    first, *later = pages
    for page in later:
        first.join(page)
    return first


class Plan:
    """How the rows of a step become its statistics, in forward order.

    >>> series = (Series("act", "output", "module"), Series("fc", "output", "module"))
    >>> nan = float("nan")
    >>> rows = np.array([[2, nan, 5, -1, 2, 0, 0, nan, 0], [1, nan, 9, 3, 3, 0, 0, nan, 0]])
    >>> parts = Plan(np.array([1, 1]), series, np.array([0, 1]))  # of one tensor
    >>> parts.statistics(rows)[1].tolist()
    [3.0, nan, 14.0, -1.0, 3.0, 0.0, 0.0, nan, 0.0]
    """

    def __init__(
        self,
        slots: npt.NDArray[np.integer[Any]],
        series: tuple[Series, ...],
        positions: npt.NDArray[np.intp],
    ) -> None:
        self.series = series
        order = np.argsort(slots, kind="stable")
        ordered = slots[order]
        starts = np.flatnonzero(np.diff(ordered, prepend=-1))
        self._positions = positions[ordered[starts]]
        self._order = order
        self._starts = None if len(starts) == len(slots) else starts

    def statistics(self, rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the statistics of all series, merging rows of the same one."""
        found = np.full((len(self.series), len(FIELDS)), math.nan)
        rows = rows[self._order]
        if self._starts is None:
            found[self._positions] = rows
            return found
        found[self._positions] = np.add.reduceat(rows, self._starts)
        for column, reduce in ((_LEAST, np.fmin), (_LARGEST, np.fmax)):
            found[self._positions, column] = reduce.reduceat(rows[:, column], self._starts)
        return found
