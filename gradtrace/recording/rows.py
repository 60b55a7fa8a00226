"""A recording as rows of one table, for programs that read tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from gradtrace.recording.sample import FIELDS, Step
from gradtrace.recording.statistics import STATISTICS

if TYPE_CHECKING:
    from gradtrace.recording.reader import Recording

__all__ = ["COLUMNS", "rows_of"]

COLUMNS = ("step", "time", "node", "quantity", "kind", "op", "scope", "value", *STATISTICS)
"""A scalar is a row with its `value`, its name as the node and `scalar` as the quantity."""

Row = tuple[Any, ...]


def rows_of(recording: Recording) -> Iterator[list[Row]]:
    """Yield the rows of each step; None is what was not computed, NaN what is not finite."""
    for step in recording.replay():
        nothing = (None,) * len(STATISTICS)
        rows: list[Row] = [
            (step.index, step.time, name, "scalar", None, None, None, value, *nothing)
            for name, value in step.scalars.items()
        ]
        for series, numbers in zip(step.series, _numbers(step), strict=True):
            if any(number is not None for number in numbers):
                about = (series.node, series.quantity, series.kind, series.op, series.scope)
                rows.append((step.index, step.time, *about, None, *numbers))
        yield rows


def _numbers(step: Step) -> list[tuple[float | None, ...]]:
    """Return the derived statistics of each series."""
    fields = dict(zip(FIELDS, step.statistics.T, strict=True))
    columns: list[list[float | None]] = []
    with np.errstate(all="ignore"):
        fields["sumsq"] = np.sqrt(fields["sumsq"])
        spoilt = fields["nonfinite"] > 0
        for statistic in STATISTICS.values():
            numbers = np.array(statistic.derive(*(fields[field] for field in statistic.fields)))
            known = ~np.isnan(numbers)
            if statistic.finite:
                numbers[spoilt] = np.nan
                known |= spoilt
            told = zip(numbers.tolist(), known.tolist(), strict=True)
            columns.append([number if is_known else None for number, is_known in told])
    return list(zip(*columns, strict=True))
