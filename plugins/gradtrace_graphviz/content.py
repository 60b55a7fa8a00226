"""What stands inside a box: its rows, its formulas and its images, set in lines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from gradtrace.render.parts import FigureNode, Grid, Row, Theme
from gradtrace_graphviz.fonts import width
from gradtrace_graphviz.mathematics import ENLARGED, typeset
from gradtrace_graphviz.scene import Formula, Part, Shape, Text, box, moved

__all__ = ["Content", "content", "image", "phrase"]

LEADING = 1.2
"""Height of a line, in font sizes."""

PAD = (5.0, 3.0)
"""Room between the content and the outline of a box."""

LEAST = 30.0
GAP = 8.0
"""Room between what stands side by side."""

CELL = 5.0
"""Width of an element in an image."""


@dataclass(frozen=True, slots=True)
class Content:
    """Some parts with the room that they take, from (0, 0) on."""

    width: float
    height: float
    parts: tuple[Part, ...]
    base: float | None = None
    """Where the base line of its text is; the lower edge unless told."""

    @property
    def ascent(self) -> float:
        """Height above the base line."""
        return self.height if self.base is None else self.base

    @property
    def size(self) -> tuple[float, float]:
        """Width and height."""
        return self.width, self.height

    def at(self, x: float, y: float) -> tuple[Part, ...]:
        """Return the parts with the upper left corner at (x, y)."""
        return tuple(moved(part, x, y) for part in self.parts)


def content(node: FigureNode, theme: Theme, *, room: float | None) -> Content:
    """Return what stands in a box, side by side where that takes no more than `room`."""
    rows = node.rows
    lines = _rows(rows, theme) if room is None else _compact(rows, theme, room)
    if node.grids:
        lines.append(_beside([image(grid, theme) for grid in node.grids], GAP))
    inner = stacked(lines, least=LEAST)
    left, top = PAD
    return Content(inner.width + 2 * left, inner.height + 2 * top, inner.at(left, top))


def phrase(text: str, *, size: float, colour: str, bold: bool = False, latex: str = "") -> Content:
    """Return one line of text, or of mathematics where there is some."""
    if latex:
        formula = typeset(latex, size, colour)
        if formula is not None:
            wide, ascent, descent, shapes = formula
            part = Formula(0, ascent, latex, size * ENLARGED, colour, wide, shapes)
            return Content(wide, ascent + descent, (part,), ascent)
    wide = width(text, size=size, bold=bold)
    base = size * (0.5 * LEADING + 0.36)
    return Content(wide, size * LEADING, (Text(0, base, text, size, colour, bold, wide),), base)


def stacked(lines: Sequence[Content], *, least: float = 0.0) -> Content:
    """Return lines one below the other."""
    parts: list[Part] = []
    top = 0.0
    for each in lines:
        parts += each.at(0, top)
        top += each.height
    return Content(max([least, *(each.width for each in lines)]), top, tuple(parts))


def image(grid: Grid, theme: Theme) -> Content:
    """Return a small tensor as a raster of rectangles, its caption below."""
    rows, columns = len(grid.cells), max(map(len, grid.cells), default=0)
    parts: list[Part] = []
    for y, colours in enumerate(grid.cells):
        x = 0
        for colour, run in groupby(colours):
            wide = len(list(run))
            parts.append(Shape(box(x * CELL, y * CELL + 2, wide * CELL, CELL), fill=colour))
            x += wide
    outline = box(0, 2, columns * CELL, rows * CELL)
    parts.append(Shape(outline, stroke=theme.grey, width=0.4))
    size = theme.sizes["detail"]
    below = phrase(grid.caption, size=size, colour=theme.grey)
    parts += below.at(0, rows * CELL + 2)
    return Content(max(columns * CELL, below.width), rows * CELL + 2 + below.height, tuple(parts))


def _beside(pieces: Iterable[Content], gap: float) -> Content:
    """Return pieces side by side, on one base line."""
    listed = list(pieces)
    base = max((each.ascent for each in listed), default=0.0)
    below = max((each.height - each.ascent for each in listed), default=0.0)
    parts: list[Part] = []
    x = 0.0
    for each in listed:
        parts += each.at(x, base - each.ascent)
        x += each.width + gap
    return Content(max(0.0, x - gap), base + below, tuple(parts), base)


def _set(row: Row, theme: Theme) -> Content:
    """Return the text of a row, without its caption."""
    colours = {"name": theme.ink, "formula": theme.ink, "number": theme.ink, "alarm": theme.alarm}
    kind = {"name": "name", "formula": "name", "number": "number", "alarm": "number"}
    size = theme.sizes[kind.get(row.role, "detail")]
    colour = colours.get(row.role, theme.grey)
    bold = row.role in ("name", "alarm")
    return phrase(row.text or " ", size=size, colour=colour, bold=bold, latex=row.latex)


def _caption(row: Row, theme: Theme) -> Content:
    return phrase(row.caption, size=theme.sizes["detail"], colour=theme.grey)


def _rows(rows: Sequence[Row], theme: Theme) -> list[Content]:
    """Return a line for each row, numbers to the right."""
    pairs = [(_caption(row, theme) if row.caption else None, _set(row, theme)) for row in rows]
    both = [each for each in pairs if each[0] is not None]
    captions = max((caption.width for caption, _ in both if caption), default=0.0)
    numbers = max((number.width for _, number in both), default=0.0)
    wide = max([LEAST, captions + GAP + numbers if both else 0.0, *(n.width for _, n in pairs)])
    lines = []
    for caption, number in pairs:
        if caption is None:
            lines.append(number)
            continue
        lines.append(_beside([caption, number], wide - caption.width - number.width))
    return lines


def _compact(rows: Sequence[Row], theme: Theme, room: float) -> list[Content]:
    """Return the name with what is said of it in one line, and the numbers in as few as can be."""
    head = [_set(row, theme) for row in rows if not row.caption]
    numbers = [
        _beside((_caption(row, theme), _set(row, theme)), 3.0) for row in rows if row.caption
    ]
    return [*_filled(head, room), *_filled(numbers, room)]


def _filled(pieces: Sequence[Content], room: float) -> list[Content]:
    """Return pieces in lines that are filled before the next is begun."""
    lines: list[list[Content]] = []
    for each in pieces:
        taken = sum(piece.width + GAP for piece in lines[-1]) if lines else 0.0
        if lines and taken + each.width <= room:
            lines[-1].append(each)
        else:
            lines.append([each])
    return [_beside(line, GAP) for line in lines]
