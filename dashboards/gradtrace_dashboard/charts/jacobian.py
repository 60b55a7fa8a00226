"""A small Jacobian as a picture: results down, operands across, sign by colour."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from gradtrace.render.numbers import number
from gradtrace_dashboard.charts.svg import document, picture, rect, text
from gradtrace_dashboard.charts.theme import DIVERGING, Theme, between

__all__ = ["jacobian"]

MOST = 160
"""Rows and columns that are drawn; larger ones are reduced to their largest magnitudes."""


def jacobian(array: npt.NDArray[Any], shape: tuple[int, int], *, theme: Theme) -> str:
    """Return the picture of a Jacobian whose sides are flattened to `shape`."""
    values = _reduced(np.asarray(array, np.float64).reshape(shape))
    reach = float(np.nanmax(np.abs(np.where(np.isfinite(values), values, np.nan)), initial=0.0))
    anchors = [between(DIVERGING, index / 254) for index in range(255)]
    table = np.array([_rgb(each) for each in [*anchors, theme.nan]], np.uint8)
    place = np.clip(values / (reach or 1.0), -1, 1)
    codes = np.where(np.isfinite(values), np.round(127 + 127 * np.nan_to_num(place)), 255)
    rows, columns = values.shape
    side = min(330 / columns, 260 / rows, 26)
    width, height = side * columns, side * rows
    title = f"∂result/∂operand, {shape[0]:,} × {shape[1]:,}"
    parts = [
        text(title, x=4, y=16, font_weight=600, font_size=13),
        picture(table[codes.astype(np.uint8)], x=4, y=26, width=width, height=height),
        rect(4, 26, width, height, fill="none", stroke=theme.grid),
        *_key(reach, height + 40, theme),
    ]
    return document(380, height + 70, *parts, theme=theme, label=title)


def _key(reach: float, y: float, theme: Theme) -> list[str]:
    parts = [
        rect(4 + 3 * index, y, 3.3, 9, fill=between(DIVERGING, index / 59)) for index in range(60)
    ]
    for x, value, anchor in ((4, -reach, "start"), (94, 0.0, "middle"), (184, reach, "end")):
        parts.append(text(number(value), x=x, y=y + 24, text_anchor=anchor, fill=theme.grey))
    return parts


def _reduced(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return at most `MOST` rows and columns, each the element of largest magnitude.

    >>> spike = np.zeros((1000, 1000)); spike[777, 3] = -5.0
    >>> _reduced(spike).shape, float(_reduced(spike).min())
    ((160, 160), -5.0)
    """
    for axis in (0, 1):
        count = values.shape[axis]
        if count > MOST:
            starts = np.arange(MOST) * count // MOST
            high = np.maximum.reduceat(values, starts, axis=axis)
            low = np.minimum.reduceat(values, starts, axis=axis)
            values = np.where(np.abs(low) > np.abs(high), low, high)
    return values


def _rgb(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[at : at + 2], 16) for at in (1, 3, 5))
