"""The numbers of the last step, of all processes that train together, while they train."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import astuple

import numpy as np

from gradtrace.errors import require_choice
from gradtrace.recording.ledger import Reading
from gradtrace.recording.matrix import Matrix
from gradtrace.recording.merge import merge
from gradtrace.recording.rankfile import Numbers
from gradtrace.recording.sample import FIELDS, QUANTITIES, Series
from gradtrace.recording.statistics import STATISTICS

__all__ = ["live_matrix"]


def live_matrix(
    index: int,
    reading: Reading,
    gather: Callable[[bytes], list[bytes]],
    *,
    quantity: str,
    statistic: str,
) -> Matrix:
    """Return one statistic of a quantity in step `index`, of the `reading` of every process."""
    require_choice("quantity", quantity, QUANTITIES)
    require_choice("statistic", statistic, STATISTICS)
    whole = merge([_unpacked(index, each) for each in gather(_packed(reading, quantity))])
    row = STATISTICS[statistic]
    with np.errstate(all="ignore"):
        values = row.derive(*(whole.fields[field] for field in row.fields))
        if row.finite:
            values = np.where(whole.fields["nonfinite"] > 0, np.nan, values)
    nodes = tuple(each.node for each in whole.series)
    return Matrix(quantity, statistic, whole.steps, nodes, values)


def _packed(reading: Reading, quantity: str) -> bytes:
    """Return the series of a quantity with their statistics, as bytes."""
    _, statistics, _ = reading.numbers()
    rows = [row for row, each in enumerate(reading.series) if each.quantity == quantity]
    names = json.dumps([astuple(reading.series[row]) for row in rows]).encode()
    return names + b"\0" + statistics[rows].astype("<f8").tobytes()


def _unpacked(index: int, data: bytes) -> Numbers:
    names, _, numbers = data.partition(b"\0")
    series = tuple(Series(*each) for each in json.loads(names))
    rows = np.frombuffer(numbers, dtype="<f8").reshape(len(series), len(FIELDS))
    fields = {field: rows[None, :, column] for column, field in enumerate(FIELDS)}
    fields["sumsq"] = np.sqrt(fields["sumsq"])
    return Numbers(np.array([index]), series, fields)
