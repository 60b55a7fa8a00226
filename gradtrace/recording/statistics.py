"""The statistics that are derived from what is kept, when it is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["MERGE", "RATIOS", "STATISTICS", "Fields", "Statistic"]

Floats = npt.NDArray[np.floating[Any]]
Fields = Mapping[str, Floats]
"""Statistics as they are kept, by name. In the place of the sum of squares is its root."""


class Statistic(NamedTuple):
    """A row of the table."""

    meaning: str
    fields: tuple[str, ...]
    derive: Callable[..., Floats]
    finite: bool = True
    """Whether it is NaN for a tensor with an element that is NaN or infinite."""


def _std(total: Floats, root: Floats, count: Floats) -> Floats:
    squares = root.astype(np.float64) ** 2
    return np.sqrt(np.maximum(squares / count - (total.astype(np.float64) / count) ** 2, 0.0))


def _nan(nonfinite: Floats, nan: Floats) -> Floats:
    """Return how many are NaN: none where all is finite, also in a run that did not tell."""
    return np.where(nonfinite == 0, nonfinite, nan)


# fmt: off
STATISTICS: Mapping[str, Statistic] = MappingProxyType({
    "norm": Statistic("Euclidean norm", ("sumsq",), lambda root: root),
    "rms": Statistic("root mean square", ("sumsq", "count"), lambda root, n: root / np.sqrt(n)),
    "mean": Statistic("mean", ("sum", "count"), lambda total, n: total / n),
    "std": Statistic("population standard deviation", ("sum", "sumsq", "count"), _std),
    "min": Statistic("smallest element", ("min",), lambda low: low),
    "max": Statistic("largest element", ("max",), lambda high: high),
    "zeros": Statistic("share of elements that are 0", ("zeros", "count"), np.divide, False),
    "saturated": Statistic(
        "share of elements at an end of the operation", ("saturated", "count"), np.divide, False),
    "nonfinite": Statistic("number of NaN and infinite elements", ("nonfinite",), np.copy, False),
    "nan": Statistic("number of NaN elements", ("nonfinite", "nan"), _nan, False),
    "infinite": Statistic(
        "number of infinite elements", ("nonfinite", "nan"), lambda n, m: n - _nan(n, m), False),
    "count": Statistic("number of elements", ("count",), np.copy, False),
})

RATIOS: Mapping[str, tuple[str, str]] = MappingProxyType({
    "update ratio": ("update", "value"),
    "gain": ("downstream gradient", "upstream gradient"),
    "clipping": ("gradient", "unclipped gradient"),
})
"""Quantities that are the norm of one by the norm of another."""

MERGE: Mapping[str, Callable[[Floats], Floats]] = MappingProxyType({
    "count": lambda parts: parts.sum(axis=0),
    "sum": lambda parts: parts.sum(axis=0),
    "sumsq": lambda roots: np.sqrt((roots**2).sum(axis=0)),
    "min": lambda parts: parts.min(axis=0),
    "max": lambda parts: parts.max(axis=0),
    "zeros": lambda parts: parts.sum(axis=0),
    "nonfinite": lambda parts: parts.sum(axis=0),
    "saturated": lambda parts: parts.sum(axis=0),
    "nan": lambda parts: parts.sum(axis=0),
})
"""How each kept statistic of a whole follows from those of its parts, stacked in the first axis."""
# fmt: on
