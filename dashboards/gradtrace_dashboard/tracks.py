"""A quantity over a whole run, kept as no more cells than a screen can show."""

from __future__ import annotations

import numpy as np

from gradtrace.recording.reader import Recording
from gradtrace_dashboard.cells import Cells
from gradtrace_dashboard.rows import TOTAL, rows_of

__all__ = ["Track"]

MOST = 2048
"""Blocks of steps that are kept of a run."""

CHUNK = 4000
"""Steps read at a time."""


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
            full = _pooled(rows.between(0, cut), self._size)
            self._whole = [self._whole[0].followed_by(full) if self._whole else full]
        self._rest = rows.between(cut) if cut < len(rows.first) else None
        while self._whole and len(self._whole[0].first) > MOST:
            self._whole = [self._whole[0].merged((len(self._whole[0].first) + 1) // 2)]
            self._size *= 2


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
