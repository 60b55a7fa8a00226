"""What a drawing is made of: shapes and texts on a page, in points, y downwards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

__all__ = [
    "HEAD",
    "KAPPA",
    "Area",
    "Formula",
    "Group",
    "Page",
    "Part",
    "Point",
    "Segment",
    "Shape",
    "Text",
    "around",
    "box",
    "cubic",
    "flat",
    "line",
    "meets",
    "moved",
    "reach",
]

Point = tuple[float, float]

Area = tuple[float, float, float, float]
"""Left, top, right and bottom."""

Segment = tuple[str, tuple[float, ...]]
"""`M`, `L`, `Q` or `C` with coordinates, or `Z` without, as in an SVG path."""

HEAD = 4.6
"""Length of the point of a thin arrow."""

KAPPA = 0.5523
"""How far the handles of a quarter circle reach, as a share of its radius."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A path, filled or stroked."""

    path: tuple[Segment, ...]
    fill: str | None = None
    stroke: str | None = None
    width: float = 0.0
    dash: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Text:
    """A line of text; `x` is where it begins, `y` its base line."""

    x: float
    y: float
    content: str
    size: float
    colour: str
    bold: bool = False
    wide: float = 0.0
    """Its width."""


@dataclass(frozen=True, slots=True)
class Formula:
    """Mathematics; `x` is where it begins, `y` its base line."""

    x: float
    y: float
    latex: str
    size: float
    colour: str
    wide: float
    shapes: tuple[Shape, ...]
    """The same as shapes, from (0, 0) on."""


Part = Shape | Text | Formula


@dataclass(frozen=True, slots=True)
class Group:
    """What belongs together, under one tooltip."""

    kind: str
    parts: tuple[Part, ...]
    tooltip: str = ""
    opacity: float = 1.0


@dataclass(frozen=True, slots=True)
class Page:
    """A drawing of some size in points, printed at `scale`."""

    width: float
    height: float
    scale: float
    groups: tuple[Group, ...]
    background: str | None = None
    title: str = ""


def box(x: float, y: float, wide: float, high: float, radius: float = 0.0) -> tuple[Segment, ...]:
    """Return the outline of a rectangle, its corners rounded.

    >>> [name for name, _ in box(0, 0, 2, 1)]
    ['M', 'L', 'L', 'L', 'Z']
    """
    right, low = x + wide, y + high
    if not radius:
        corners = ((right, y), (right, low), (x, low))
        return (("M", (x, y)), *(("L", corner) for corner in corners), ("Z", ()))
    r, k = radius, radius * (1 - KAPPA)
    return (
        ("M", (x + r, y)),
        ("L", (right - r, y)),
        ("C", (right - k, y, right, y + k, right, y + r)),
        ("L", (right, low - r)),
        ("C", (right, low - k, right - k, low, right - r, low)),
        ("L", (x + r, low)),
        ("C", (x + k, low, x, low - k, x, low - r)),
        ("L", (x, y + r)),
        ("C", (x, y + k, x + k, y, x + r, y)),
        ("Z", ()),
    )


def line(points: Iterable[Point]) -> tuple[Segment, ...]:
    """Return the path through `points`."""
    first, *others = points
    return (("M", first), *(("L", point) for point in others))


def around(centre: Point, size: Point) -> Area:
    """Return the area of some width and height around a point.

    >>> around((5, 5), (4, 2))
    (3.0, 4.0, 7.0, 6.0)
    """
    (x, y), (wide, high) = centre, size
    return x - wide / 2, y - high / 2, x + wide / 2, y + high / 2


def meets(one: Area, other: Area) -> bool:
    """Tell whether two areas have room in common.

    >>> meets((0, 0, 2, 2), (1, 1, 3, 3)), meets((0, 0, 2, 2), (2, 0, 3, 3))
    (True, False)
    """
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def moved(part: Part, dx: float, dy: float) -> Part:
    """Return a part at another place."""
    return (
        _moved(part, dx, dy)
        if isinstance(part, Shape)
        else replace(part, x=part.x + dx, y=part.y + dy)
    )


def _moved(shape: Shape, dx: float, dy: float) -> Shape:
    shift = (dx, dy)
    path = tuple(
        (name, tuple(value + shift[index % 2] for index, value in enumerate(values)))
        for name, values in shape.path
    )
    return replace(shape, path=path)


def flat(parts: Iterable[Part]) -> Iterator[Shape | Text]:
    """Yield parts with formulas as shapes."""
    for part in parts:
        if isinstance(part, Formula):
            yield from (_moved(shape, part.x, part.y) for shape in part.shapes)
        else:
            yield part


def cubic(path: Iterable[Segment]) -> Iterator[Segment]:
    """Yield a path with cubic curves for quadratic ones.

    >>> list(cubic([("M", (0, 0)), ("Q", (3, 0, 3, 3))]))[1]
    ('C', (2.0, 0.0, 3.0, 1.0, 3, 3))
    """
    x = y = 0.0
    for name, values in path:
        if name == "Q":
            qx, qy, *end = values
            first = x + (qx - x) * 2 / 3, y + (qy - y) * 2 / 3
            second = end[0] + (qx - end[0]) * 2 / 3, end[1] + (qy - end[1]) * 2 / 3
            yield "C", (*first, *second, *end)
        else:
            yield name, values
        x, y = values[-2:] or (x, y)


def reach(parts: Iterable[Part]) -> tuple[float, float, float, float]:
    """Return the least and the largest x and y of some parts: left, top, right, bottom."""
    xs: list[float] = []
    ys: list[float] = []
    for part in flat(parts):
        if isinstance(part, Text):
            xs += [part.x, part.x + part.wide]
            ys += [part.y - part.size, part.y + 0.25 * part.size]
            continue
        half = part.width / 2
        for _, values in part.path:
            xs += [value + sign for value in values[::2] for sign in (-half, half)]
            ys += [value + sign for value in values[1::2] for sign in (-half, half)]
    return min(xs), min(ys), max(xs), max(ys)
