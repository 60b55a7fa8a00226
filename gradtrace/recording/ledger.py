"""The numbers of a step on their way to a `Step`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from gradtrace.recording.sample import FIELDS, QUANTITIES, Series

__all__ = ["Layout", "Page", "Reading", "Row", "statistics_of"]

Row = tuple[Any, ...]
"""One number, or whatever becomes a number when it is read, for each of `FIELDS`."""

_ORDER = {quantity: position for position, quantity in enumerate(QUANTITIES)}
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
        self._met: dict[str, int] = {}
        self._series: tuple[Series, ...] | None = None
        self._positions: npt.NDArray[np.intp] = np.empty(0, np.intp)

    def slot(self, series: Series) -> int:
        """Return the slot of a series."""
        if series not in self._slots:
            self._series = None
        return self._slots.setdefault(series, len(self._slots))

    def meet(self, scope: str) -> None:
        """Take the forward pass to have come to `scope`, after all others met so far."""
        if scope not in self._met:
            self._met[scope] = len(self._met)
            self._series = None

    @property
    def series(self) -> tuple[Series, ...]:
        """All series in forward order, the same object as long as none is added."""
        if self._series is None:
            last = len(self._met)
            ordered = sorted(
                self._slots,
                key=lambda each: (self._met.get(each.scope, last), each.kind, _rank(each)),
            )
            self._series = tuple(ordered)
            self._positions = np.empty(len(ordered), np.intp)
            self._positions[[self._slots[each] for each in ordered]] = np.arange(len(ordered))
        return self._series

    @property
    def positions(self) -> npt.NDArray[np.intp]:
        """Position in `series` of each slot."""
        assert self.series is not None
        return self._positions


def _rank(series: Series) -> tuple[str, int]:
    return ("" if series.kind == "module" else series.node, _ORDER[series.quantity])


@dataclass(slots=True)
class Page:
    """What was measured in one step, by slot."""

    rows: list[tuple[int, Row]] = field(default_factory=list)
    """Rows of one slot are parts of one tensor, and merged."""
    latest: dict[int, Row] = field(default_factory=dict)
    """Rows of which the last one counts."""
    histograms: dict[int, Any] = field(default_factory=dict)
    scalars: dict[str, Any] = field(default_factory=dict)

    def join(self, later: Page) -> None:
        """Add what a later page of the same step holds."""
        self.rows += later.rows
        self.latest |= later.latest
        self.histograms |= later.histograms
        self.scalars |= later.scalars


def statistics_of(
    slots: npt.NDArray[np.intp], rows: npt.NDArray[np.float64], layout: Layout
) -> npt.NDArray[np.float64]:
    """Return the statistics of a step in forward order, merging rows of the same slot.

    >>> layout = Layout()
    >>> slot = layout.slot(Series("act", "output", "module"))
    >>> nan = float("nan")
    >>> rows = np.array([[2, nan, 5, -1, 2, 0, 0, nan], [1, nan, 9, 3, 3, 0, 0, nan]])
    >>> statistics_of(np.array([slot, slot]), rows, layout).tolist()
    [[3.0, nan, 14.0, -1.0, 3.0, 0.0, 0.0, nan]]
    """
    found = np.full((len(layout.series), len(FIELDS)), math.nan)
    if not len(slots):
        return found
    order = np.argsort(slots, kind="stable")
    sorted_slots = slots[order]
    starts = np.flatnonzero(np.diff(sorted_slots, prepend=-1))
    positions = layout.positions[sorted_slots[starts]]
    if len(starts) == len(slots):
        found[positions] = rows[order]
        return found
    rows = rows[order]
    found[positions] = np.add.reduceat(rows, starts)
    found[positions, _LEAST] = np.fmin.reduceat(rows[:, _LEAST], starts)
    found[positions, _LARGEST] = np.fmax.reduceat(rows[:, _LARGEST], starts)
    return found
