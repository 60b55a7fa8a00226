"""Make one set of numbers of those that several processes kept."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from gradtrace.recording.rankfile import Counts, Numbers
from gradtrace.recording.sample import BINS, Series
from gradtrace.recording.statistics import MERGE

__all__ = ["merge", "merge_counts"]

Floats = npt.NDArray[np.float64]


def merge(ranks: Sequence[Numbers]) -> Numbers:
    """Return the numbers of the whole: of replicas the first, of parts what they add up to.

    Where a process that holds a part has not recorded a step, the whole is not known: NaN.
    """
    if len(ranks) == 1:
        return ranks[0]
    steps = np.unique(np.concatenate([each.steps for each in ranks]))
    series = tuple(dict.fromkeys(each for rank in ranks for each in rank.series))
    merged = {field: np.full((len(steps), len(series)), np.nan) for field in ranks[0].fields}
    rows = [np.searchsorted(steps, each.steps) for each in ranks]
    for field, whole in merged.items():
        for column, each in enumerate(series):
            parts = np.stack([*_parts(ranks, rows, each, field, len(steps))])
            whole[:, column] = _first(parts) if each.spread == "replicas" else MERGE[field](parts)
    return Numbers(steps, series, merged)


def merge_counts(ranks: Sequence[Counts], spread: str) -> Counts:
    """Return the histograms of the whole, those of parts at the steps that all ranks have."""
    ranks = [each for each in ranks if len(each[0])]
    if not ranks:
        return np.empty(0, dtype=np.int64), np.empty((0, BINS), dtype=np.uint32)
    if spread == "replicas":
        return max(ranks, key=lambda each: len(each[0]))
    common = ranks[0][0]
    for steps, _ in ranks[1:]:
        common = np.intersect1d(common, steps)
    rows = [counts[np.searchsorted(steps, common)] for steps, counts in ranks]
    return common, np.sum(rows, axis=0, dtype=np.uint32)


def _parts(
    ranks: Sequence[Numbers],
    rows: Sequence[npt.NDArray[np.int64]],
    series: Series,
    field: str,
    steps: int,
) -> list[Floats]:
    """Return the numbers of each rank that has the series, a row for each of all steps."""
    found = []
    for rank, places in zip(ranks, rows, strict=True):
        if series in rank.series:
            part = np.full(steps, np.nan)
            part[places] = rank.fields[field][:, rank.series.index(series)]
            found.append(part)
    return found


def _first(parts: Floats) -> Floats:
    """Return for each step the number of the first rank that has one."""
    has = ~np.isnan(parts)
    return np.take_along_axis(parts, has.argmax(axis=0)[None], axis=0).reshape(-1)
