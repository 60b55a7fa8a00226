"""Judge whether two gradients are the same, by as much as was kept of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from gradtrace.derivative import LIMIT
from gradtrace.summary import Summary

__all__ = [
    "TOLERANCES",
    "Array",
    "Outcome",
    "Tolerance",
    "close",
    "count_nonfinite",
    "elements_of",
    "finite",
    "is_complex",
    "judge_elements",
    "judge_statistics",
    "tolerance_of",
]

Array = npt.NDArray[Any]


class Tolerance(NamedTuple):
    """How far two gradients of a dtype may lie apart and still be the same."""

    relative: float
    floor: float
    """Elements below this may have been rounded to 0."""
    statistic_floor: float
    """Norms below this may have been: their squares underflow."""
    largest: float
    """Elements beyond this overflow to infinity."""
    noise: float
    """Shares smaller than this part of the upstream gradient may be rounding, and nothing else."""


TOLERANCES = {
    "float64": Tolerance(1e-9, 1e-300, 1e-150, 1.7e308, 2e-14),
    "float32": Tolerance(1e-4, 1e-37, 1e-18, 3.4e38, 1e-5),
    "bfloat16": Tolerance(2e-2, 1e-37, 1e-18, 3.3e38, 2e-2),
    "float16": Tolerance(2e-2, 1e-7, 1e-7, 65504.0, 5e-3),
    "float8": Tolerance(2e-1, 2e-3, 2e-3, 448.0, 2e-1),
}
"""One row for each precision; a type of which nothing is known is judged as the coarsest."""

COMPLEX = {"complex128": "float64", "complex64": "float32", "complex32": "float16"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of judging one equation."""

    verdict: str
    reason: str | None = None
    error: float | None = None


def judge_elements(
    found: Array,
    expected: Array,
    scale: Array,
    tolerance: Tolerance,
    poisoned: Array | None = None,
) -> Outcome:
    """Judge element by element; error is the largest difference over the largest magnitude."""
    if not found.size:
        return Outcome("pass", error=0.0)
    lost = ~np.isfinite(found)
    with np.errstate(all="ignore"):
        overflows = np.abs(expected) > 0.9 * tolerance.largest
        if poisoned is None:
            wrong = (lost != ~np.isfinite(expected)) & ~overflows
        else:
            wrong = poisoned & ~lost
        if wrong.any():
            return Outcome("fail", f"NaN or infinity on one side only, in {wrong.sum()} elements")
        compared = ~lost & np.isfinite(expected)
        gap = float(np.abs(found - expected)[compared].max(initial=0.0))
        magnitude = float(scale[compared].max(initial=0.0))
    return close(gap, magnitude, tolerance.relative, tolerance.floor)


def judge_statistics(
    found: Summary, expected: Summary, tolerance: Tolerance, scale: float | None = None
) -> Outcome:
    """Judge whether two summaries can be of the same gradient."""
    peak = max(abs(finite(x) or 0.0) for x in (found.min, found.max, expected.min, expected.max))
    counts = (count_nonfinite(found), count_nonfinite(expected))
    if any(counts):
        exact = found.nonfinite is not None and expected.nonfinite is not None
        same = counts[0] == counts[1] if exact else all(counts)
        if same or peak > 0.9 * tolerance.largest:
            return Outcome("pass")
        what = f"{counts[0]} NaN or infinite elements where {counts[1]} are expected"
        return Outcome("fail", what)
    norms = (finite(found.norm), finite(expected.norm))
    if norms[0] is None or norms[1] is None:
        return Outcome("unverifiable", "no numbers were kept of its gradients")
    length = max(norms[0], norms[1], scale or 0.0)
    pairs = [(norms[0], norms[1], length)]
    for name, magnitude in (
        ("mean", length / math.sqrt(found.size or 1)),
        ("min", max(peak, scale or 0.0)),
        ("max", max(peak, scale or 0.0)),
    ):
        left, right = finite(getattr(found, name)), finite(getattr(expected, name))
        if left is not None and right is not None:
            pairs.append((left, right, magnitude))
    outcomes = [
        close(abs(left - right), size, tolerance.relative, tolerance.statistic_floor)
        for left, right, size in pairs
    ]
    return max(outcomes, key=lambda outcome: (outcome.verdict == "fail", outcome.error or 0.0))


def close(gap: float, magnitude: float, relative: float, floor: float) -> Outcome:
    """Judge whether `gap` is small beside `magnitude`."""
    gap = max(gap, 0.0)
    error = gap / magnitude if magnitude > 0 else (0.0 if gap <= floor else math.inf)
    return Outcome("pass" if gap <= relative * magnitude + floor else "fail", error=error)


def tolerance_of(*summaries: Summary) -> Tolerance:
    """Return the tolerance of the coarsest type among `summaries`."""
    names = [COMPLEX.get(summary.dtype, summary.dtype) for summary in summaries]
    return max(TOLERANCES.get(name, TOLERANCES["float8"]) for name in names)


def elements_of(summary: Summary) -> Array | None:
    """Return the elements: kept, or told by the statistics where all are the same.

    >>> elements_of(Summary.of([2.0, 2.0]))
    array([2., 2.])
    """
    if summary.array is not None or is_complex(summary) or summary.size > LIMIT:
        return summary.array
    if not summary.size:
        return np.zeros(summary.shape)
    low, high = finite(summary.min), finite(summary.max)
    if low is not None and low == high and not summary.nonfinite:
        return np.full(summary.shape, low)
    return None


def count_nonfinite(summary: Summary) -> int:
    """Return the number of NaN and infinite elements, at least 1 where the norm tells of them."""
    if summary.nonfinite is not None:
        return summary.nonfinite
    return 0 if summary.norm is None or math.isfinite(summary.norm) else 1


def finite(number: float | None) -> float | None:
    """Return `number`, or None for NaN, infinity and what was not computed."""
    return number if number is not None and math.isfinite(number) else None


def is_complex(summary: Summary) -> bool:
    """Tell whether the statistics are those of magnitudes, which do not add up."""
    return summary.dtype.startswith("complex")
