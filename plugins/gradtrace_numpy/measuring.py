"""From elements to the statistics that are recorded of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from gradtrace.recording.ledger import Row
from gradtrace.recording.observer import NEAR
from gradtrace.recording.sample import BINS, EDGES

__all__ = ["histogram", "row_of"]

NDArray = npt.NDArray[Any]


def row_of(elements: NDArray, ends: tuple[float, float] | None = None) -> Row:
    """Return count, sum, sum of squares, extremes and so on, in the order of `FIELDS`.

    >>> row_of(np.array([3.0, 0.0, -4.0, np.inf]))
    (4, -1.0, 25.0, -4.0, 3.0, 1, 1, nan, 0)
    """
    x = elements.astype(np.float64).ravel()
    finite = x[np.isfinite(x)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (np.nan, np.nan)
    with np.errstate(over="ignore"):
        sums = float(finite.sum()), float(np.dot(finite, finite))
    near: float = np.nan
    if ends is not None:
        margin = (ends[1] - ends[0]) * NEAR
        near = int(np.count_nonzero((x < ends[0] + margin) | (x > ends[1] - margin)))
    counts = int(np.count_nonzero(x == 0)), x.size - finite.size
    return (x.size, *sums, low, high, *counts, near, int(np.count_nonzero(np.isnan(x))))


def histogram(elements: NDArray) -> npt.NDArray[np.uint32]:
    """Return how many elements have a magnitude in each of the bins."""
    sizes = np.abs(elements[~np.isnan(elements)])
    bins = np.searchsorted(EDGES, sizes, side="right")
    return np.bincount(bins, minlength=BINS).astype(np.uint32)
