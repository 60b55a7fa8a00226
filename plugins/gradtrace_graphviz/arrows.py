"""The arrows of a drawing."""

from __future__ import annotations

import math
from collections.abc import Sequence

from gradtrace.render.parts import FigureEdge, Theme
from gradtrace_graphviz.scene import Point, Segment, Shape, Text

__all__ = ["HEAD", "Area", "along", "arrow", "beside_curve"]

Area = tuple[float, float, float, float]
"""Left, top, right and bottom."""

DASH = {"solid": (), "dashed": (3.0, 2.0), "dotted": (0.8, 1.8)}

HEAD = 4.6
"""Length of the point of a thin arrow."""

SLACK = 1.5
"""Room above and below the letters of a label, which may overlap with other things."""

SAMPLES = 24
"""Places along an arrow that labels of other arrows avoid."""

ASIDE = 4.0
"""How far beside the arrow of its value that of a gradient runs."""


def arrow(
    edge: FigureEdge, points: Sequence[Point], theme: Theme, *, beside: bool
) -> tuple[tuple[Shape | Text, ...], tuple[Point, ...]]:
    """Return an arrow along the points of cubic curves, and places on it for a label.

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
    return tuple(parts), tuple(_at(whole, share) for share in (0.5, 0.35, 0.65, 0.2, 0.8))


def _head(end: Point, before: Point, tip: Point, width: float) -> tuple[Segment, ...]:
    """Return the point of an arrow, its base where the line ends."""
    dx, dy = tip[0] - end[0], tip[1] - end[1]
    length = math.hypot(dx, dy)
    if length < 0.1:
        dx, dy = tip[0] - before[0], tip[1] - before[1]
        length = math.hypot(dx, dy) or 1.0
    ux, uy = dx / length, dy / length
    long = max(HEAD, length)
    half = 1.5 + 0.75 * width
    x, y = tip[0] - ux * long, tip[1] - uy * long
    return (
        ("M", tip),
        ("L", (x - uy * half, y + ux * half)),
        ("L", (x + uy * half, y - ux * half)),
        ("Z", ()),
    )


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


def along(points: Sequence[Point]) -> list[Area]:
    """Return small areas along an arrow, which labels of others avoid."""
    *curve, tip = points
    whole = [*curve[:-1], tip]
    places = [_at(whole, step / SAMPLES) for step in range(1, SAMPLES)]
    return [(x - 1, y - 1, x + 1, y + 1) for x, y in places]


def beside_curve(
    points: Sequence[Point], size: Point, taken: Sequence[Area], *, aside: float
) -> Point:
    """Return where a label of some size stands: beside a curve, where nothing else is if it can."""
    wide, high = size
    places = [
        place
        for x, y in points
        for place in (
            (x + aside, y - high / 2),
            (x - aside - wide, y - high / 2),
            (x - wide / 2, y - high - aside),
        )
    ]
    areas = {p: (p[0], p[1] + SLACK, p[0] + wide, p[1] + high - SLACK) for p in places}
    free = (p for p in places if not any(_meets(areas[p], other) for other in taken))
    return next(free, places[0])


def _meets(one: Area, other: Area) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
