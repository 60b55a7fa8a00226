"""Cells of steps × nodes as levels of a colour scale, on which what is no number has its own."""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from gradtrace_dashboard.cells import INFINITE, NAN, ZERO, Cells
from gradtrace_dashboard.charts.legend import FIRST, STATES, colours, legend
from gradtrace_dashboard.charts.scales import Scale
from gradtrace_dashboard.charts.svg import document, picture, text
from gradtrace_dashboard.charts.theme import DIVERGING, Theme, between

__all__ = ["Heat", "differences", "heat", "levels", "payload", "shares", "to_svg"]

EMPTY, NOTHING, NOT_A_NUMBER, ENDLESS = range(FIRST)
"""The levels of `STATES`."""

SHARES = ("zeros", "saturated")
"""Statistics from 0 to 1, which have no need for a log scale."""


@dataclass(frozen=True, slots=True)
class Heat:
    """A heat map before it is drawn: levels of blocks (rows) × nodes (columns)."""

    cells: Cells
    high: npt.NDArray[np.uint8]
    low: npt.NDArray[np.uint8]
    scale: Scale
    colours: tuple[str, ...]
    """Of all 256 levels."""
    states: tuple[str, ...] = STATES
    """What the first of them mean; those without a name are not explained."""


def heat(cells: Cells, *, theme: Theme, statistic: str = "norm", scheme: str = "cividis") -> Heat:
    """Return the levels of `cells` on one scale."""
    low, high = np.abs(cells.low), np.abs(cells.high)
    low, high = np.fmin(low, high), np.fmax(low, high)
    if statistic in SHARES:
        scale = Scale(0.0, 1.0)
    else:
        scale = Scale.of([_least(low), -_least(-high)], log=True)
    upper = levels(high, cells.kinds, scale, zero_first=False)
    lower = levels(low, cells.kinds, scale, zero_first=True)
    return Heat(cells, upper, lower, scale, colours(theme, scheme))


def shares(cells: Cells, *, theme: Theme) -> Heat:
    """Return levels of histograms, on which an empty bin is as the paper."""
    found = heat(cells, theme=theme)
    colours = (theme.absent, theme.paper, *found.colours[2:])
    return replace(found, colours=colours, states=("", "no element", "", ""))


def differences(cells: Cells, *, theme: Theme) -> Heat:
    """Return levels of log ratios: white where equal, red where more, blue where less."""
    finite = np.abs(cells.high[np.isfinite(cells.high)])
    reach = max(1.0, math.ceil(float(finite.max(initial=0.0))))
    scale = Scale(-reach, reach)
    codes = levels(cells.high, cells.kinds, scale, zero_first=True)
    ramp = tuple(between(DIVERGING, index / 251) for index in range(252))
    return Heat(cells, codes, codes, scale, (*colours(theme, "cividis")[:FIRST], *ramp))


def _least(values: npt.NDArray[Any]) -> float:
    found = np.fmin.reduce(values, axis=None) if values.size else math.nan
    return float(found)


def levels(
    values: npt.NDArray[Any], kinds: npt.NDArray[np.uint8], scale: Scale, *, zero_first: bool
) -> npt.NDArray[np.uint8]:
    """Return the level of each cell: what is wrong goes before any number.

    >>> scale = Scale(1.0, 100.0, log=True)
    >>> levels(np.array([1.0, 10.0, np.nan]), np.array([1, 5, 16], np.uint8), scale,
    ...        zero_first=False)
    array([4, 2, 0], dtype=uint8)
    """
    with np.errstate(all="ignore"):
        if scale.log:
            low, high = math.log10(scale.low), math.log10(scale.high)
            place = (np.log10(values) - low) / (high - low)
        else:
            place = (values - scale.low) / (scale.high - scale.low)
    number = np.isfinite(place)
    level = np.where(number, FIRST + np.round(251 * np.clip(np.nan_to_num(place), 0, 1)), EMPTY)
    found: npt.NDArray[np.uint8] = level.astype(np.uint8)
    zero = (kinds & ZERO) > 0
    found[zero & (zero_first | ~number)] = NOTHING
    found[(kinds & INFINITE) > 0] = ENDLESS
    found[(kinds & NAN) > 0] = NOT_A_NUMBER
    return found


def payload(found: Heat, **more: Any) -> dict[str, Any]:
    """Return what the browser draws from."""
    return {
        "rows": list(found.cells.nodes),
        "first": found.cells.first.tolist(),
        "last": found.cells.last.tolist(),
        "high": base64.b64encode(np.ascontiguousarray(found.high.T).tobytes()).decode(),
        "low": base64.b64encode(np.ascontiguousarray(found.low.T).tobytes()).decode(),
        "colours": list(found.colours),
        "scale": [found.scale.low, found.scale.high, found.scale.log],
        "ticks": found.scale.ticks(6),
        "kinds": base64.b64encode(np.ascontiguousarray(found.cells.kinds.T).tobytes()).decode(),
        "words": found.states,
        **more,
    }


def to_svg(found: Heat, *, title: str, theme: Theme, low: bool = False) -> str:
    """Return the whole heat map as a drawing."""
    names = found.cells.nodes
    rows = max(len(names), 1)
    left, top, width = 190.0, 30.0, float(max(780, len(found.cells.first)))
    tall = min(max(14.0 * rows, 60), 900)
    table = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in found.colours], np.uint8)
    codes = found.low if low else found.high
    parts = [text(title, x=left, y=18, font_weight=600, font_size=13)]
    if codes.size:
        place = {"x": left, "y": top, "width": width, "height": tall}
        parts.append(picture(table[codes.T], **place))
    every = max(1, math.ceil(rows * 11 / tall))
    for index in range(0, len(names), every):
        y = top + (index + 0.5) * tall / rows + 4
        name = names[index] if len(names[index]) < 30 else f"…{names[index][-28:]}"
        parts.append(text(name, x=left - 6, y=y, text_anchor="end", font_size=11))
    if len(found.cells.first):
        ends = ((0.0, "start", found.cells.first[0]), (width, "end", found.cells.last[-1]))
        for shift, anchor, step in ends:
            shown = f"step {int(step):,}"
            parts.append(text(shown, x=left + shift, y=top + tall + 16, text_anchor=anchor))
    parts.append(
        legend(found.colours, found.scale, theme, found.states, left=left, y=top + tall + 30)
    )
    label = f"{title}: {len(names)} nodes"
    return document(left + width + 30, top + tall + 66, *parts, theme=theme, label=label)
