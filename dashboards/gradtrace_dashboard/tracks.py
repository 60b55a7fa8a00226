"""A quantity over a whole run, kept as no more cells than a screen can show.

A cell holds the smallest and the largest number of many steps, with what else there was: a zero,
NaN, infinity, nothing computed. So no extreme is ever hidden, however long the run.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gradtrace.recording.reader import Recording
from gradtrace.recording.statistics import RATIOS

__all__ = [
    "ABSENT",
    "INFINITE",
    "NAN",
    "NUMBER",
    "TOTAL",
    "ZERO",
    "Cells",
    "Track",
    "kinds_of",
    "rows_of",
]

TOTAL = "total"
"""In the place of a statistic: the Euclidean norm over all nodes together, as one column."""

NUMBER, ZERO, NAN, INFINITE, ABSENT = 1, 2, 4, 8, 16
"""What is in a cell, as bits: several steps may have several of them."""

MOST = 2048
"""Blocks of steps that are kept of a run."""

CHUNK = 4000
"""Steps read at a time."""

Floats = npt.NDArray[np.float32]
Bits = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Cells:
    """Blocks of steps (rows) × nodes (columns)."""

    first: npt.NDArray[np.int64]
    last: npt.NDArray[np.int64]
    nodes: tuple[str, ...]
    low: Floats
    """The smallest number that is finite and not 0; NaN where there is none."""
    high: Floats
    kinds: Bits

    def merged(self, most: int) -> Cells:
        """Return at most `most` blocks, of as many blocks each."""
        count = len(self.first)
        if count <= most:
            return self
        starts = np.unique(np.arange(most) * count // most)
        ends = np.append(starts[1:], count) - 1
        return Cells(
            self.first[starts],
            self.last[ends],
            self.nodes,
            np.fmin.reduceat(self.low, starts, axis=0),
            np.fmax.reduceat(self.high, starts, axis=0),
            np.bitwise_or.reduceat(self.kinds, starts, axis=0),
        )

    def followed_by(self, other: Cells) -> Cells:
        """Return these blocks, then those of the same nodes in `other`."""
        return Cells(
            np.concatenate([self.first, other.first]),
            np.concatenate([self.last, other.last]),
            self.nodes,
            np.concatenate([self.low, other.low]),
            np.concatenate([self.high, other.high]),
            np.concatenate([self.kinds, other.kinds]),
        )

    def rows(self, what: str = "node") -> Iterator[tuple[object, ...]]:
        """Yield a header, then a row for each cell, as a file holds it."""
        marks = {"zero": ZERO, "NaN": NAN, "Inf": INFINITE}
        yield ("first step", "last step", what, "smallest", "largest", *marks)
        for row, (first, last) in enumerate(zip(self.first, self.last, strict=True)):
            for column, node in enumerate(self.nodes):
                ends = (float(each[row, column]) for each in (self.low, self.high))
                shown = ("" if math.isnan(end) else end for end in ends)
                kind = int(self.kinds[row, column])
                odd = (bool(kind & bit) for bit in marks.values())
                yield (int(first), int(last), node, *shown, *odd)

    def of(self, groups: dict[str, list[int]]) -> Cells:
        """Return a column for each group of columns."""
        low, high, kinds = [], [], []
        for columns in groups.values():
            low.append(np.fmin.reduce(self.low[:, columns], axis=1))
            high.append(np.fmax.reduce(self.high[:, columns], axis=1))
            kinds.append(np.bitwise_or.reduce(self.kinds[:, columns], axis=1))
        shape = (len(self.first), 0)
        return Cells(
            self.first,
            self.last,
            tuple(groups),
            np.stack(low, axis=1) if low else np.empty(shape, np.float32),
            np.stack(high, axis=1) if high else np.empty(shape, np.float32),
            np.stack(kinds, axis=1) if kinds else np.empty(shape, np.uint8),
        )


def rows_of(
    recording: Recording, quantity: str, statistic: str, nodes: tuple[str, ...], steps: slice
) -> Cells:
    """Return each step of a range as a block of its own."""
    if statistic == TOTAL:
        return _total(rows_of(recording, quantity, "norm", recording.nodes(quantity), steps))
    found = recording.matrix(quantity, statistic, steps=steps)
    values = _placed(found.values, found.nodes, nodes)
    kinds = kinds_of(values)
    if (kinds == ABSENT).any():
        spoilt = _spoilt(recording, quantity, nodes, steps, values.shape)
        kinds = np.where((kinds == ABSENT) & (spoilt > 0), spoilt, kinds)
    numbers = np.where(kinds == NUMBER, values, np.float32(np.nan))
    return Cells(found.steps, found.steps, nodes, numbers, numbers, kinds)


def kinds_of(values: npt.NDArray[np.floating[Any]]) -> Bits:
    """Return what each value is, where NaN stands for what was not computed.

    >>> kinds_of(np.array([2.0, 0.0, np.inf, np.nan])).tolist()
    [1, 2, 8, 16]
    """
    kinds = np.full(values.shape, NUMBER, np.uint8)
    kinds[values == 0] = ZERO
    kinds[np.isinf(values)] = INFINITE
    kinds[np.isnan(values)] = ABSENT
    return kinds


def _total(rows: Cells) -> Cells:
    """Return the norm of all nodes as one, NaN where one of them is not finite."""
    norm = np.sqrt(np.nansum(rows.high.astype(np.float64) ** 2, axis=1, keepdims=True))
    every = np.bitwise_or.reduce(rows.kinds, axis=1)[:, None]
    kinds = np.where(norm > 0, NUMBER, ZERO).astype(np.uint8)
    kinds[every == ABSENT] = ABSENT
    kinds[(every & INFINITE) > 0] = INFINITE
    kinds[(every & NAN) > 0] = NAN
    shown = np.where(kinds == NUMBER, norm, np.nan).astype(np.float32)
    return Cells(rows.first, rows.last, (TOTAL,), shown, shown, kinds)


def _spoilt(
    recording: Recording,
    quantity: str,
    nodes: tuple[str, ...],
    steps: slice,
    shape: tuple[int, ...],
) -> Bits:
    """Return which tensors have a NaN or an infinite element; both where a run does not tell."""
    found, known = np.zeros(shape, np.uint8), np.ones(shape, bool)
    for each in RATIOS.get(quantity, (quantity,)):
        tables = (recording.matrix(each, s, steps=steps) for s in ("nonfinite", "nan"))
        every, nan = (_placed(table.values, table.nodes, nodes) for table in tables)
        if every.shape != shape:
            return np.zeros(shape, np.uint8)
        known &= ~np.isnan(every)
        found |= np.where((every > 0) & ~(nan == 0), np.uint8(NAN), np.uint8(0))
        found |= np.where((every > 0) & ~(nan == every), np.uint8(INFINITE), np.uint8(0))
    return np.where(known, found, np.uint8(0))


def _placed(values: npt.NDArray[Any], have: tuple[str, ...], want: tuple[str, ...]) -> Floats:
    """Return columns in the order of `want`, NaN where there is none."""
    if have == want:
        return values.astype(np.float32, copy=False)
    placed = np.full((len(values), len(want)), np.nan, np.float32)
    columns = {node: column for column, node in enumerate(want)}
    for column, node in enumerate(have):
        if node in columns:
            placed[:, columns[node]] = values[:, column]
    return placed


class Track:
    """Follows one quantity of a run, a chunk of steps at a time."""

    def __init__(
        self, recording: Recording, quantity: str, statistic: str, window: tuple[int, int] | None
    ) -> None:
        self._recording = recording
        self._what = quantity, statistic
        self._window = window
        nodes = (TOTAL,) if statistic == TOTAL else recording.nodes(quantity)
        self._nodes: tuple[str, ...] = nodes
        self._whole: list[Cells] = []
        self._rest: Cells | None = None
        self._size = 1
        self._next = window[0] if window else 0

    def reaches(self, end: int) -> bool:
        """Tell whether all steps up to `end` have been read."""
        return self._next > (min(end, self._window[1]) if self._window else end)

    def advance(self, end: int) -> bool:
        """Read the next chunk of steps up to `end`; return whether there are more."""
        if self._window:
            end = min(end, self._window[1])
        if self._next > end:
            return False
        stop = min(self._next + CHUNK, end + 1)
        chunk = slice(self._next, stop)
        self._add(rows_of(self._recording, *self._what, self._nodes, chunk))
        self._next = stop
        return stop <= end

    def cells(self) -> Cells:
        """Return what has been read so far."""
        parts = [*self._whole, *([self._rest.merged(1)] if self._rest else [])]
        if not parts:
            empty = np.empty((0, len(self._nodes)), np.float32)
            none = np.empty(0, np.int64)
            return Cells(none, none, self._nodes, empty, empty, empty.astype(np.uint8))
        whole = parts[0]
        for part in parts[1:]:
            whole = whole.followed_by(part)
        return whole

    def _add(self, rows: Cells) -> None:
        rows = self._rest.followed_by(rows) if self._rest else rows
        blocks = len(rows.first) // self._size
        cut = blocks * self._size
        if blocks:
            full = _pooled(_slice(rows, 0, cut), self._size)
            self._whole = [self._whole[0].followed_by(full) if self._whole else full]
        self._rest = _slice(rows, cut, len(rows.first)) if cut < len(rows.first) else None
        while self._whole and len(self._whole[0].first) > MOST:
            self._whole = [self._whole[0].merged((len(self._whole[0].first) + 1) // 2)]
            self._size *= 2


def _slice(cells: Cells, start: int, stop: int) -> Cells:
    part = slice(start, stop)
    return Cells(
        cells.first[part],
        cells.last[part],
        cells.nodes,
        cells.low[part],
        cells.high[part],
        cells.kinds[part],
    )


def _pooled(rows: Cells, size: int) -> Cells:
    """Return blocks of `size` rows each; the plain minimum first, for it is the faster one."""
    if size == 1:
        return rows
    shape = (-1, size, len(rows.nodes))
    low, high = rows.low.reshape(shape), rows.high.reshape(shape)
    least, most = low.min(axis=1), high.max(axis=1)
    if np.isnan(least).any():
        least, most = np.fmin.reduce(low, axis=1), np.fmax.reduce(high, axis=1)
    kinds = np.bitwise_or.reduce(rows.kinds.reshape(shape), axis=1)
    return Cells(rows.first[::size], rows.last[size - 1 :: size], rows.nodes, least, most, kinds)
