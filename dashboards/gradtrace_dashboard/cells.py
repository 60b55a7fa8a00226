"""Blocks of many steps: the smallest and the largest number, and what else there was.

A zero, NaN, infinity, nothing computed: so no extreme is ever hidden, however long the run.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["ABSENT", "INFINITE", "NAN", "NUMBER", "ZERO", "Bits", "Cells", "Floats", "kinds_of"]

NUMBER, ZERO, NAN, INFINITE, ABSENT = 1, 2, 4, 8, 16
"""What is in a cell, as bits: several steps may have several of them."""

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

    def between(self, start: int, stop: int | None = None) -> Cells:
        """Return the blocks from one place to before another."""
        part = slice(start, stop)
        return Cells(
            self.first[part],
            self.last[part],
            self.nodes,
            self.low[part],
            self.high[part],
            self.kinds[part],
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
