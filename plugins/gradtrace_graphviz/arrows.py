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

BEND = 8.0
"""Distance of the places that a curve beside another passes, in points."""

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
    """Return the points of an arrow in the other direction, a little to the side all along."""
    *curve, tip = points
    whole = [*curve[:-1], tip]
    steps = max(2, min(16, round(math.dist(whole[0], tip) / BEND)))
    places = [_at(whole, step / steps) for step in range(steps, -1, -1)]
    ends = [places[0], *places, places[-1]]
    moved = []
    for (x, y), before, after in zip(places, ends, ends[2:], strict=False):
        dx, dy = _direction(before, after)
        moved.append((x + dy * ASIDE, y - dx * ASIDE))
    dx, dy = _direction(moved[-2], moved[-1])
    (x, y), long = moved[-1], min(HEAD, math.dist(moved[-2], moved[-1]) / 2)
    return [*_through([*moved[:-1], (x - dx * long, y - dy * long)]), (x, y)]


def _direction(start: Point, end: Point) -> Point:
    length = math.dist(start, end) or 1.0
    return (end[0] - start[0]) / length, (end[1] - start[1]) / length


def _through(places: Sequence[Point]) -> list[Point]:
    """Return smooth cubic curves through some places.

    >>> _through([(0, 0), (6, 0)])
    [(0, 0), (1.0, 0.0), (5.0, 0.0), (6, 0)]
    """
    ends = [places[0], *places, places[-1]]
    points = [places[0]]
    for before, start, end, after in zip(ends, ends[1:], ends[2:], ends[3:], strict=False):
        first = start[0] + (end[0] - before[0]) / 6, start[1] + (end[1] - before[1]) / 6
        second = end[0] - (after[0] - start[0]) / 6, end[1] - (after[1] - start[1]) / 6
        points += [first, second, end]
    return points


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
