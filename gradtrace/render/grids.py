"""Small tensors as images: a colour for each element."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradtrace.derivative import LocalDerivative
from gradtrace.errors import DerivativeError
from gradtrace.render.numbers import number, shape
from gradtrace.render.palette import along
from gradtrace.render.parts import Grid, Theme
from gradtrace.summary import Summary

__all__ = ["LARGEST", "edge_grid", "node_grids"]

LARGEST = 16
"""Rows and columns up to which a tensor is small."""

STEPS = 40
"""Shades of an image."""


def node_grids(data: Mapping[str, Any], theme: Theme) -> tuple[Grid, ...]:
    """Return the images of a node's value and of its upstream gradient, where they are small."""
    grids = [
        _grid(caption, value.array, theme)
        for caption, value in (("value", data["value"]), ("upstream", data["upstream_gradient"]))
        if isinstance(value, Summary) and value.array is not None and value.size > 1
    ]
    return tuple(grid for grid in grids if grid)


def edge_grid(data: Mapping[str, Any], theme: Theme) -> Grid | None:
    """Return the image of the Jacobian on an edge, where it is small and known."""
    derivative: LocalDerivative | None = data["local_derivative"]
    if derivative is None:
        return None
    if derivative.array is None and derivative.structure not in ("identity", "zero"):
        return None
    rows, columns = np.prod(derivative.result_shape), np.prod(derivative.operand_shape)
    if max(rows, columns) > LARGEST or rows * columns < 2:
        return None
    try:
        dense = np.asarray(derivative.dense())
    except DerivativeError:
        return None
    return _grid("Jacobian", dense.reshape(int(rows), int(columns)), theme)


def _grid(caption: str, array: NDArray[Any], theme: Theme) -> Grid | None:
    """Return an array as rows of colours; what is not finite has the colour of alarm."""
    if array.dtype.kind not in "biuf":
        return None
    table = np.atleast_2d(array.reshape(-1, array.shape[-1]) if array.ndim > 1 else array)
    if max(table.shape) > LARGEST:
        return None
    table = table.astype(float)
    finite = np.abs(table[np.isfinite(table)])
    largest = float(finite.max()) if finite.size else 0.0
    rows = tuple(tuple(_colour(x, largest, theme) for x in row) for row in table)
    tooltip = f"{caption}, {shape(array.shape)}, from -{number(largest)} to {number(largest)}"
    return Grid(caption, rows, tooltip)


def _colour(x: float, largest: float, theme: Theme) -> str:
    if not np.isfinite(x):
        return theme.alarm
    place = 0.5 + (0.5 * x / largest if largest else 0.0)
    return along(theme.signs, round(place * STEPS) / STEPS)
