"""Histograms of one tensor over the steps, as cells of magnitudes × steps."""

from __future__ import annotations

import numpy as np

from gradtrace.recording.reader import Histograms
from gradtrace_dashboard.cells import NUMBER, ZERO, Cells

__all__ = ["spread"]

MOST = 400
"""Histograms that a screen has room for."""


def spread(found: Histograms) -> Cells:
    """Return the share of elements in each bin that is used, the largest magnitude on top."""
    counts = found.counts.astype(np.float64)
    used = np.flatnonzero(counts.sum(axis=0))
    if not used.size:
        return _empty()
    bins = np.arange(used[-1], used[0] - 1, -1)
    shares = counts[:, bins] / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    numbers = np.where(shares > 0, shares, np.nan).astype(np.float32)
    kinds = np.where(shares > 0, NUMBER, ZERO).astype(np.uint8)
    names = tuple(_bin(found, int(each)) for each in bins)
    return Cells(found.steps, found.steps, names, numbers, numbers, kinds).merged(MOST)


def _bin(found: Histograms, index: int) -> str:
    """Return the name of a bin by its lower edge, a power of two."""
    if index == 0:
        return f"< {found.edges[0]:.1e}"
    return f"≥ {found.edges[index - 1]:.2g}"


def _empty() -> Cells:
    nothing = np.empty((0, 0), np.float32)
    none = np.empty(0, np.int64)
    return Cells(none, none, (), nothing, nothing, nothing.astype(np.uint8))
