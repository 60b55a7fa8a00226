"""Go through a recorded run step by step, as it was recorded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from gradtrace.recording.index import Span
from gradtrace.recording.sample import FIELDS, Step

if TYPE_CHECKING:
    from gradtrace.recording.reader import Recording

__all__ = ["replay"]

BATCH = 500
"""Steps read at a time."""

SUMSQ = FIELDS.index("sumsq")


def replay(recording: Recording, *, since: int = -1) -> Iterator[Step]:
    """Yield the steps after `since`, those of all processes made one, without histograms."""
    series = recording.series
    order = {each: position for position, each in enumerate(series)}
    quantities = tuple(dict.fromkeys(each.quantity for each in series))
    steps, times = recording.steps, recording.times
    scalars = {
        name: dict(zip(at.tolist(), values.tolist(), strict=True))
        for name, (at, values) in recording.scalar_values().items()
    }
    wanted = np.flatnonzero(steps > since)
    for start in range(0, len(wanted), BATCH):
        rows = wanted[start : start + BATCH]
        span = Span(int(steps[rows[0]]) - 1, int(steps[rows[-1]]) + 1)
        block = np.full((len(rows), len(series), len(FIELDS)), np.nan)
        for quantity in quantities:
            numbers = recording.numbers(quantity, FIELDS, span)
            places = np.searchsorted(steps[rows], numbers.steps)[:, None]
            columns = [order[each] for each in numbers.series]
            for position, field in enumerate(FIELDS):
                block[places, columns, position] = numbers.fields[field]
        block[:, :, SUMSQ] **= 2
        for row, statistics in zip(rows.tolist(), block, strict=True):
            index = int(steps[row])
            given = {name: each[index] for name, each in scalars.items() if index in each}
            yield Step(index, float(times[row]), given, series, statistics)
