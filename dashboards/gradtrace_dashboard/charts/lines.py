"""Numbers over steps, as lines that never hide an extreme."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gradtrace_dashboard.cells import INFINITE, NAN
from gradtrace_dashboard.charts.axes import Frame
from gradtrace_dashboard.charts.scales import Scale
from gradtrace_dashboard.charts.svg import document, line, rect, tag, text
from gradtrace_dashboard.charts.theme import Theme

__all__ = ["Curve", "curve_of", "lines", "spans_decades", "sparkline"]

PIXELS = 600
"""Points of a line on the screen; each is the smallest and the largest of as many steps."""


@dataclass(frozen=True, slots=True)
class Curve:
    """A line: at each place the smallest and the largest number, and what is not finite."""

    name: str
    x: npt.NDArray[Any]
    low: npt.NDArray[Any]
    high: npt.NDArray[Any]
    odd: npt.NDArray[np.uint8]
    """`NAN`, `INFINITE`, both, or neither."""


def curve_of(name: str, steps: npt.NDArray[Any], values: npt.NDArray[Any]) -> Curve:
    """Return the line of `values`, of which each place keeps the extremes.

    >>> spike = np.zeros(100_000); spike[51_234] = 7.0
    >>> curve_of("spike", np.arange(100_000), spike).high.max()
    np.float64(7.0)
    """
    count = len(steps)
    if not count:
        empty = np.empty(0)
        return Curve(name, empty, empty, empty, empty.astype(np.uint8))
    starts = np.unique(np.arange(min(PIXELS, count)) * count // min(PIXELS, count))
    finite = np.where(np.isfinite(values), values, np.nan)
    return Curve(
        name,
        np.asarray(steps)[starts],
        np.fmin.reduceat(finite, starts),
        np.fmax.reduceat(finite, starts),
        np.bitwise_or.reduceat(np.isnan(values) * NAN | np.isinf(values) * INFINITE, starts),
    )


def lines(
    curves: Sequence[Curve],
    *,
    title: str,
    theme: Theme,
    log: bool = False,
    height: float = 230,
    width: float = 1000,
    step: int | None = None,
    x_label: str = "step",
) -> tuple[str, dict[str, Any]]:
    """Return the drawing, with the numbers that a pointer reads from it."""
    every = [float(v) for c in curves for v in (*c.low, *c.high)]
    ends = [float(c.x[end]) for c in curves if len(c.x) for end in (0, -1)]
    x = Scale(min(ends), max(max(ends), min(ends) + 1)) if ends else Scale(0.0, 1.0)
    frame = Frame(width, height, x, Scale.of(every, log=log), theme)
    parts = [frame.drawn(title, x_label)]
    for index, curve in enumerate(curves):
        parts += _curve(curve, frame, theme.series[index % len(theme.series)])
    if step is not None and (place := frame.at_x(step)) is not None and 0 <= x.place(step) <= 1:  # type: ignore[operator]
        parts.append(
            line(place, frame.top, place, height - frame.bottom, stroke=theme.mark, opacity=0.8)
        )
    if len(curves) > 1:
        parts.append(_legend(curves, frame))
    svg = document(width, height, *parts, theme=theme, label=title)
    return svg, _read_off(curves, frame)


def _curve(curve: Curve, frame: Frame, colour: str) -> Iterator[str]:
    """Yield the line, and a mark above each place where a number is not finite."""
    run: list[str] = []
    for x, low, high in zip(curve.x, curve.low, curve.high, strict=True):
        at = frame.at_x(float(x))
        ends = [frame.at_y(float(low)), frame.at_y(float(high))]
        shown = [each for each in ends if each is not None]
        if shown:
            run += [f"{at:.1f},{each:.1f}" for each in dict.fromkeys(shown)]
        elif run:
            yield _path(run, colour)
            run = []
    if run:
        yield _path(run, colour)
    yield from _alarms(curve, frame)


def _path(points: list[str], colour: str) -> str:
    if len(points) == 1:
        x, y = points[0].split(",")
        return tag("circle", cx=x, cy=y, r=2.5, fill=colour)
    joined = "M" + "L".join(points)
    return tag("path", d=joined, fill="none", stroke=colour, stroke_width=1.6)


def _alarms(curve: Curve, frame: Frame) -> Iterator[str]:
    """Yield a mark at each place that is not finite, with a word at the first one of its kind."""
    theme = frame.theme
    for row, (bit, word, colour) in enumerate(
        ((NAN, "NaN", theme.nan), (INFINITE, "Inf", theme.infinite))
    ):
        places = [frame.at_x(float(x)) for x in curve.x[(curve.odd & bit) > 0]]
        y = frame.top + 7 * row
        yield from (rect(at - 1.5, y, 3, 6, fill=colour) for at in places if at is not None)
        if places and places[0] is not None:
            x = min(places[0] + 4, frame.width - frame.right - 60)
            first = f"{word} from step {int(curve.x[(curve.odd & bit) > 0][0]):,}"
            y = frame.top + 28 + 15 * row
            yield rect(x, y - 8, 8, 8, fill=colour)
            yield text(first, x=x + 12, y=y, font_size=11, font_weight=600)


def _legend(curves: Sequence[Curve], frame: Frame) -> str:
    parts = []
    x = frame.width - frame.right
    for index, curve in reversed(list(enumerate(curves))):
        colour = frame.theme.series[index % len(frame.theme.series)]
        name = curve.name if len(curve.name) < 34 else f"…{curve.name[-32:]}"
        x -= 7.2 * len(name) + 26
        parts.append(line(x, 13, x + 16, 13, stroke=colour, stroke_width=3))
        parts.append(text(name, x=x + 20, y=17, fill=frame.theme.grey))
    return tag("g", *parts)


def _read_off(curves: Sequence[Curve], frame: Frame) -> dict[str, Any]:
    width, height = frame.inner
    return {
        "box": [frame.left, frame.top, width, height, frame.width, frame.height],
        "x": [frame.x.low, frame.x.high],
        "curves": [
            {
                "name": each.name,
                "x": each.x.tolist(),
                "low": _plain(each.low),
                "high": _plain(each.high),
            }
            for each in curves
        ],
    }


def _plain(values: npt.NDArray[Any]) -> list[float | None]:
    return [float(f"{v:.4g}") if math.isfinite(v) else None for v in values.tolist()]


def spans_decades(curves: Sequence[Curve]) -> bool:
    """Tell whether positive numbers lie so far apart that only a log scale shows them."""
    low = min((float(np.nanmin(c.low)) for c in curves if np.isfinite(c.low).any()), default=1.0)
    high = max((float(np.nanmax(c.high)) for c in curves if np.isfinite(c.high).any()), default=1.0)
    return low > 0 and high > 1e4 * low


def sparkline(values: npt.NDArray[Any], *, points: int = 60) -> list[float]:
    """Return a few numbers that stand for many, the largest of each stretch, for a table."""
    finite = np.asarray(values, float)[np.isfinite(values)]
    if len(finite) <= points:
        return [float(v) for v in finite]
    starts = np.arange(points) * len(finite) // points
    return [float(v) for v in np.maximum.reduceat(finite, starts)]
