"""The arrows of a drawing."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

from gradtrace.render.parts import FigureEdge, Theme
from gradtrace_graphviz.scene import HEAD, Point, Segment, Shape, Text

__all__ = ["DASH", "arrow", "half_head"]

DASH = {"solid": (), "dashed": (3.0, 2.0), "dotted": (0.8, 1.8)}

STEP = 3.0
"""Distance of the places along an arrow that labels stand at, or avoid, in points."""

ASIDE = 4.0
"""How far beside the arrow of its value that of a gradient runs."""


def arrow(
    edge: FigureEdge, points: Sequence[Point], theme: Theme, *, beside: bool
) -> tuple[tuple[Shape | Text, ...], tuple[Point, ...]]:
    """Return an arrow along the points of cubic curves, and the places that it passes.

    The last point is that of the arrow. One `beside` another runs against it.
    """
    if beside:
        points = _aside(points)
    *curve, tip = points
    lit = edge.emphasis == "highlighted"
    colour = theme.accent if lit else edge.colour
    width = max(edge.width, 2.0) if lit else edge.width
    dash = (4.0, 2.0) if edge.kind == "carried" and edge.line == "solid" else DASH[edge.line]
    path: list[Segment] = [("M", curve[0])]
    for index in range(1, len(curve) - 2, 3):
        first, second, third = curve[index : index + 3]
        path.append(("C", (*first, *second, *third)))
    parts: list[Shape | Text] = [Shape(tuple(path), None, colour, width, dash)]
    parts.append(Shape(_head(curve[-1], curve[-2], tip, width), colour))
    whole = [*curve[:-1], tip]
    return tuple(parts), tuple(_passed(whole))


def _head(end: Point, before: Point, tip: Point, width: float) -> tuple[Segment, ...]:
    """Return the point of an arrow, its base where the line ends."""
    dx, dy = tip[0] - end[0], tip[1] - end[1]
    length = math.hypot(dx, dy)
    if length < 0.1:
        dx, dy = tip[0] - before[0], tip[1] - before[1]
        length = math.hypot(dx, dy) or 1.0
    ux, uy = dx / length, dy / length
    long = max(HEAD, length)
    half = half_head(width)
    x, y = tip[0] - ux * long, tip[1] - uy * long
    return (
        ("M", tip),
        ("L", (x - uy * half, y + ux * half)),
        ("L", (x + uy * half, y - ux * half)),
        ("Z", ()),
    )


def half_head(width: float) -> float:
    """Return half of how wide the point of an arrow is, whose line has this width."""
    return 1.5 + 0.75 * width


def _aside(points: Sequence[Point]) -> list[Point]:
    """Return the points of an arrow in the other direction, a little to the side."""
    back = list(points)[::-1]
    dx, dy = back[-1][0] - back[0][0], back[-1][1] - back[0][1]
    length = math.hypot(dx, dy) or 1.0
    sx, sy = -dy / length * ASIDE, dx / length * ASIDE
    moved = [(x - sx, y - sy) for x, y in back]
    start, *rest = moved
    (x, y), tip = rest[-2], rest[-1]
    length = math.hypot(tip[0] - x, tip[1] - y) or 1.0
    end = (tip[0] - (tip[0] - x) / length * HEAD, tip[1] - (tip[1] - y) / length * HEAD)
    return [*_cubic(start, rest[0]), *rest[1:-1], end, tip]


def _cubic(start: Point, end: Point) -> list[Point]:
    """Return a straight line as a cubic curve, to be followed by others."""
    return [
        (start[0] + (end[0] - start[0]) * t, start[1] + (end[1] - start[1]) * t)
        for t in (0.0, 1 / 3, 2 / 3, 1.0)
    ]


def _passed(curve: Sequence[Point]) -> Iterator[Point]:
    """Yield places along cubic curves, without both ends."""
    length = sum(math.dist(one, other) for one, other in pairwise(curve))
    steps = max(8, round(length / STEP))
    yield from (_at(curve, step / steps) for step in range(1, steps))


def _at(curve: Sequence[Point], share: float) -> Point:
    """Return the point at some share of the way along cubic curves."""
    count = (len(curve) - 1) // 3
    index = min(int(share * count), count - 1)
    t = share * count - index
    weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3)
    four = curve[3 * index : 3 * index + 4]
    return (
        sum(w * p[0] for w, p in zip(weights, four, strict=True)),
        sum(w * p[1] for w, p in zip(weights, four, strict=True)),
    )
