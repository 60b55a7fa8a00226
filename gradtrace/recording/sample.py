"""What one recorded step holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

__all__ = ["BINS", "EDGES", "FIELDS", "QUANTITIES", "SPREADS", "Series", "Step"]

FIELDS = ("count", "sum", "sumsq", "min", "max", "zeros", "nonfinite", "saturated", "nan")
"""The statistics that are kept of a tensor, in the order of the columns of `Step.statistics`.

They can be merged: those of two halves of a tensor give those of the whole. `count` is the number
of elements, `nonfinite` how many of them are NaN or infinite, `nan` how many NaN, and sum, sum of
squares, `min` and `max` are those of the finite ones. `saturated` counts the elements at an end of
what the operation can give, for those that have ends (sigmoid, tanh, softmax). What was not
computed is NaN; where `count` is NaN, nothing was.
"""

EDGES: npt.NDArray[np.float64] = np.ldexp(1.0, np.arange(-42, 21))
"""Edges of every histogram of magnitudes, powers of two from 2e-13 to a million.

An element x of any sign is in the bin `np.searchsorted(EDGES, abs(x), side="right")`: the first
bin holds 0 and what is below the first edge, the last holds infinity. NaN is in none.
"""

BINS = len(EDGES) + 1

QUANTITIES: Mapping[str, str] = MappingProxyType(
    {
        "value": "of a parameter, after the step",
        "gradient": "of a parameter, unscaled, as the optimizer took it: after clipping",
        "unclipped gradient": "of a parameter, unscaled, before clipping",
        "local gradient": "of a parameter on this rank alone, before ranks are averaged",
        "update": "of a parameter: its value after the optimizer's step minus that before",
        "output": "of a module: the value it returns",
        "upstream gradient": "of a module: the gradient at its output",
        "downstream gradient": "of a module: the gradient that it passes back to its input",
    }
)
"""What a series may be of. Gain and update ratio are derived from these when they are read."""

SPREADS = ("replicas", "parts")


@dataclass(frozen=True, slots=True)
class Series:
    """One tensor that is followed from step to step.

    A layout is a tuple of series in forward order, the same object while nothing changes.
    """

    node: str
    """Name of the parameter, such as `fc1.weight`, or scope of the module, such as `fc1`."""
    quantity: str
    """One of `QUANTITIES`."""
    kind: str = "parameter"
    """`parameter` or `module`."""
    op: str | None = None
    """What the module does, such as `relu`, where that is known. Rules about it ask for it."""
    scope: str = ""
    """Scope of the module that the parameter belongs to, or of the module itself."""
    spread: str = "replicas"
    """How the processes of one training hold the tensor: each a replica of the whole, of which
    one is read, or each one of its `parts` (a shard, or the share of its own batch), which are
    merged."""


@dataclass(slots=True)
class Step:
    """What was recorded in one iteration."""

    index: int
    time: float
    """Seconds since 1970, as `time.time()` gives them."""
    scalars: Mapping[str, float] = field(default_factory=dict)
    """Loss, accuracy, learning rates (`lr`, or `lr/0`, `lr/1`, … by group), and `scale`, which
    says that the loss is scaled."""
    series: tuple[Series, ...] = ()
    statistics: npt.NDArray[np.float64] = field(default_factory=lambda: np.empty((0, len(FIELDS))))
    """Shape (series, fields)."""
    histograms: Mapping[int, npt.NDArray[np.uint32]] | None = None
    """Number of elements in each of the `BINS`, by the position of the series in the layout."""
