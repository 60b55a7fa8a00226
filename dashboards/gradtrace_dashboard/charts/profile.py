"""A quantity over the depth of the network at one step, beside that of another."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

from gradtrace.render.numbers import number
from gradtrace_dashboard.charts.scales import Scale
from gradtrace_dashboard.charts.svg import document, line, tag, text
from gradtrace_dashboard.charts.theme import Theme

__all__ = ["profile"]


def profile(
    nodes: Sequence[str],
    series: Mapping[str, Sequence[float | None]],
    *,
    title: str,
    theme: Theme,
    log: bool = True,
    height: float = 520,
) -> str:
    """Return a chart with a row for each node, the first one on top.

    None is a number that was not computed.
    """
    known = [abs(v) for values in series.values() for v in values if v is not None]
    scale = Scale.of(known, log=log)
    width, left, top, bottom = 256.0, 30.0, 44.0, 62.0
    across, down = width - left - 20, height - top - bottom
    parts = [text(title, x=left, y=17, font_weight=600, font_size=13)]
    for place, label in scale.ticks(4):
        x = left + place * across
        parts.append(line(x, top, x, top + down, stroke=theme.grid))
        parts.append(text(label, x=x, y=top + down + 16, text_anchor="middle", fill=theme.grey))
    for index, (name, values) in enumerate(series.items()):
        colour = (theme.mark, theme.other)[index % 2]
        x = left + 110 * index
        parts.append(tag("circle", cx=x + 5, cy=32, r=4, fill=colour))
        parts.append(text(name, x=x + 14, y=36, fill=theme.grey))
        parts += _dots(nodes, values, scale, colour, (left, top, across, down), theme)
    return document(width, height, *parts, theme=theme, label=title, fixed=True)


def _dots(
    nodes: Sequence[str],
    values: Sequence[float | None],
    scale: Scale,
    colour: str,
    box: tuple[float, float, float, float],
    theme: Theme,
) -> list[str]:
    left, top, across, down = box
    parts: list[str] = []
    points: list[str | None] = []
    for row, (node, value) in enumerate(zip(nodes, values, strict=True)):
        y = top + (row + 0.5) * down / max(len(nodes), 1)
        place = None if value is None else scale.place(abs(value))
        if place is None:
            parts.append(_odd(value, left, y, f"{node}: {number(value)}", theme))
            points.append(None)
            continue
        x = left + place * across
        points.append(f"{x:.1f},{y:.1f}")
        parts.append(tag("circle", _title(node, value), cx=x, cy=y, r=3.2, fill=colour))
    joined = "".join(
        ("M" if row == 0 or points[row - 1] is None else "L") + each
        for row, each in enumerate(points)
        if each is not None
    )
    path = tag("path", d=joined, fill="none", stroke=colour, opacity=0.5) if joined else ""
    return [path, *parts]


def _title(node: str, value: float | None) -> str:
    return tag("title", escape(f"{node}: {number(value)}"))


def _odd(value: float | None, left: float, y: float, label: str, theme: Theme) -> str:
    """Return a mark at the edge for what has no place on the axis."""
    if value is None:
        sign, colour = "–", theme.grey
    elif math.isnan(value):
        sign, colour = "NaN", theme.nan
    elif math.isinf(value):
        sign, colour = "Inf", theme.infinite
    else:
        sign, colour = "0", theme.ink
    return tag(
        "g",
        tag("title", escape(label)),
        text(sign, x=left - 18, y=y + 4, fill=colour, font_size=10),
    )
