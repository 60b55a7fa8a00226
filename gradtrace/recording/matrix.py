"""A quantity over a training, as a table of steps and nodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from gradtrace.errors import OptionError, require_choice
from gradtrace.recording.extras import require_pandas

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Matrix", "Pooled"]

Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, repr=False)
class Pooled:
    """A matrix with many steps to a row, of which none hides an extreme."""

    first: npt.NDArray[np.int64]
    """The first step of each row."""
    last: npt.NDArray[np.int64]
    nodes: tuple[str, ...]
    low: Floats
    high: Floats
    gaps: npt.NDArray[np.int64]
    """How many numbers of each cell are NaN: not computed, or not finite."""


@dataclass(frozen=True, repr=False)
class Matrix:
    """One number for each step (row) and each node (column), NaN where it was not computed.

    `np.asarray(matrix)` is its values.

    >>> steps = np.array([0, 1, 2])
    >>> matrix = Matrix("gain", None, steps, ("fc1",), np.array([[1.0], [9.0], [2.0]]))
    >>> matrix
    <gradtrace Matrix of gain: 3 steps × 1 node>
    >>> matrix.pool(2).high
    array([[1.],
           [9.]])
    """

    quantity: str
    statistic: str | None
    steps: npt.NDArray[np.int64]
    nodes: tuple[str, ...]
    values: Floats
    """In single precision, in which most statistics are kept, or in double."""

    @property
    def shape(self) -> tuple[int, int]:
        """Number of steps and of nodes."""
        return len(self.steps), len(self.nodes)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return np.array(self.values, dtype=dtype, copy=copy)

    def __repr__(self) -> str:
        name = f"{self.quantity} {self.statistic or ''}".strip()
        counts = f"{self.shape[0]:,} steps × {self.shape[1]:,} node"
        return f"<gradtrace Matrix of {name}: {counts}{'s' if self.shape[1] != 1 else ''}>"

    def frame(self) -> pd.DataFrame:
        """Return it as a pandas frame, a row for each step, a column for each node."""
        pandas = require_pandas()
        index = pandas.Index(self.steps, name="step")
        return pandas.DataFrame(self.values, index=index, columns=list(self.nodes))

    def only(self, nodes: Sequence[str]) -> Matrix:
        """Return the columns of some nodes."""
        for node in nodes:
            require_choice("node", node, self.nodes)
        values = self.values[:, [self.nodes.index(node) for node in nodes]]
        return replace(self, nodes=tuple(nodes), values=values)

    def by(self, other: Matrix, *, name: str) -> Matrix:
        """Divide by another quantity of the same steps and nodes."""
        nodes = tuple(node for node in self.nodes if node in set(other.nodes))
        steps, rows, others = np.intersect1d(self.steps, other.steps, return_indices=True)
        above, below = self.only(nodes).values[rows], other.only(nodes).values[others]
        with np.errstate(all="ignore"):
            return Matrix(name, None, steps, nodes, above / below)

    def pool(self, rows: int) -> Pooled:
        """Return at most `rows` rows, each with the extremes of as many steps.

        A picture 800 pixels wide needs 800 rows: a spike of one step in a million stays in it.
        """
        if rows < 1:
            raise OptionError(f"rows={rows!r} is not a number of rows; use an integer from 1")
        count = len(self.steps)
        starts = np.unique(np.arange(min(rows, count)) * count // max(min(rows, count), 1))
        ends = np.append(starts[1:], count)[: len(starts)] - 1
        if not count:
            empty = np.empty((0, len(self.nodes)))
            return Pooled(self.steps, self.steps, self.nodes, empty, empty, empty.astype(int))
        return Pooled(
            first=self.steps[starts],
            last=self.steps[ends],
            nodes=self.nodes,
            low=np.fmin.reduceat(self.values, starts, axis=0),
            high=np.fmax.reduceat(self.values, starts, axis=0),
            gaps=np.add.reduceat(np.isnan(self.values).astype(np.int64), starts, axis=0),
        )
