"""Curves of a run: its loss, the norm of its gradient, a quantity of a node; and their numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gradtrace_dashboard import data
from gradtrace_dashboard.cells import INFINITE, NAN, ZERO, Cells
from gradtrace_dashboard.charts.lines import Curve, curve_of
from gradtrace_dashboard.rows import TOTAL

__all__ = ["curve", "loss", "rows", "total"]


def loss(run: data.Run, *, name: str | None = None) -> list[Curve]:
    """Return the loss of a run, if it has one, called as the run is unless told."""
    found = data.scalars(run.path).get("loss")
    return [] if found is None else [curve_of(name or run.name, *found)]


def total(run: data.Run) -> list[Curve]:
    """Return the norm of the gradient of all parameters together, if there is one."""
    if "gradient" not in data.quantities(run.path):
        return []
    found, _ = data.cells(run.path, "gradient", TOTAL, patience=0.1)
    return [curve(run.name, found, 0)] if len(found.first) else []


def curve(name: str, cells: Cells, column: int) -> Curve:
    """Return one column of cells as a line, 0 where that is all there is."""
    kinds = cells.kinds[:, column]
    low, high = cells.low[:, column].copy(), cells.high[:, column].copy()
    low[(kinds & ZERO) > 0] = 0.0
    high[kinds == ZERO] = 0.0
    return Curve(name, cells.first, low, high, kinds & np.uint8(NAN | INFINITE))


def rows(curves: Sequence[Curve]) -> list[tuple[object, ...]]:
    """Return the numbers of curves, a row for each place."""
    found: list[tuple[object, ...]] = [("curve", "step", "smallest", "largest", "NaN", "Inf")]
    for each in curves:
        columns = (each.x, each.low, each.high, (each.odd & NAN) > 0, (each.odd & INFINITE) > 0)
        table = zip(*(column.tolist() for column in columns), strict=True)
        found += [(each.name, int(x), *more) for x, *more in table]
    return found
