"""Each step of a run as it is shown: what is odd as itself, what is looked at seldom held."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from gradtrace.recording.observer import LARGE
from gradtrace.recording.reader import Recording
from gradtrace.recording.statistics import RATIOS
from gradtrace_dashboard.cells import (
    ABSENT,
    INFINITE,
    NAN,
    NUMBER,
    ZERO,
    Bits,
    Cells,
    Floats,
    kinds_of,
)

__all__ = ["TOTAL", "interval_of", "rows_of"]

TOTAL = "total"
"""In the place of a statistic: the Euclidean norm over all nodes together, as one column."""

EACH = frozenset({"value", "gradient", "unclipped gradient", "local gradient", "clipping"})
"""Quantities that each step looks at, however large they are."""


def rows_of(
    recording: Recording, quantity: str, statistic: str, nodes: tuple[str, ...], steps: slice
) -> Cells:
    """Return each step of a range as a block of its own.

    Of a large tensor, steps that did not look at it show what the last one saw that did.
    """
    if statistic == TOTAL:
        return _total(rows_of(recording, quantity, "norm", recording.nodes(quantity), steps))
    interval = interval_of(recording, quantity)
    start = steps.start - steps.start % interval
    found = _as_recorded(recording, quantity, statistic, nodes, slice(start, steps.stop))
    held = _held(recording, quantity, found, interval)
    return held.between(int(np.searchsorted(held.first, steps.start)))


def interval_of(recording: Recording, quantity: str) -> int:
    """Return every how many steps a run looks at a quantity where that is large."""
    facts = recording.facts
    every, large_every = (facts.get(name) for name in ("every", "large_every"))
    every = every if isinstance(every, int) and every > 0 else 1
    if quantity in EACH or not isinstance(large_every, int):
        return every
    return every * max(1, large_every // every)


def _held(recording: Recording, quantity: str, rows: Cells, interval: int) -> Cells:
    """Return what was seen last of large tensors where a step did not look at them."""
    looked = rows.first - rows.first % interval
    sources = np.searchsorted(rows.first, looked)
    there = rows.first[sources] == looked
    unseen = (rows.kinds == ABSENT) & ((rows.first > looked) & there)[:, None]
    if not unseen.any():
        return rows
    steps = slice(int(rows.first[0]), int(rows.first[-1]) + 1)
    unseen &= _is_large(recording, quantity, rows.nodes, steps, rows.kinds.shape)[sources]
    low, high, kinds = (
        np.where(unseen, each[sources], each) for each in (rows.low, rows.high, rows.kinds)
    )
    return replace(rows, low=low, high=high, kinds=kinds)


def _is_large(
    recording: Recording,
    quantity: str,
    nodes: tuple[str, ...],
    steps: slice,
    shape: tuple[int, ...],
) -> npt.NDArray[np.bool_]:
    """Tell of which nodes a tensor was large, in each step: this quantity or the output."""
    found = np.zeros(shape, bool)
    for each in {*RATIOS.get(quantity, (quantity,)), "output"} & set(recording.quantities):
        found |= _beside(recording, each, "count", nodes, steps, shape) > LARGE
    return found


def _as_recorded(
    recording: Recording, quantity: str, statistic: str, nodes: tuple[str, ...], steps: slice
) -> Cells:
    found = recording.matrix(quantity, statistic, steps=steps)
    values = _placed(found.values, found.nodes, nodes)
    kinds = kinds_of(values)
    if (kinds == ABSENT).any():
        spoilt = _spoilt(recording, quantity, nodes, steps, values.shape)
        kinds = np.where((kinds == ABSENT) & (spoilt > 0), spoilt, kinds)
    numbers = np.where(kinds == NUMBER, values, np.float32(np.nan))
    return Cells(found.steps, found.steps, nodes, numbers, numbers, kinds)


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
        every, nan = (
            _beside(recording, each, name, nodes, steps, shape) for name in ("nonfinite", "nan")
        )
        known &= ~np.isnan(every)
        found |= np.where((every > 0) & ~(nan == 0), np.uint8(NAN), np.uint8(0))
        found |= np.where((every > 0) & ~(nan == every), np.uint8(INFINITE), np.uint8(0))
    return np.where(known, found, np.uint8(0))


def _beside(
    recording: Recording,
    quantity: str,
    statistic: str,
    nodes: tuple[str, ...],
    steps: slice,
    shape: tuple[int, ...],
) -> Floats:
    """Return one more statistic of steps; NaN if the run has got more of them meanwhile."""
    table = recording.matrix(quantity, statistic, steps=steps)
    values = _placed(table.values, table.nodes, nodes)
    return values if values.shape == shape else np.full(shape, np.nan, np.float32)


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
