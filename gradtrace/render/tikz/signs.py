"""How colours, sizes of text and images are written in TikZ."""

from __future__ import annotations

from gradtrace.render.parts import Grid

__all__ = ["CELL", "LEADING", "colour_name", "font", "image"]

LEADING = 1.22
"""Distance of lines, in font sizes."""

CELL = 4.0
"""Side of an element in the image of a tensor, in points."""


def font(points: float) -> str:
    r"""Return the command that sets text in a size.

    >>> print(font(8))
    \fontsize{8}{9.76}\selectfont
    """
    return rf"\fontsize{{{points:g}}}{{{points * LEADING:.3g}}}\selectfont "


def colour_name(colour: str) -> str:
    """Return what a colour is called in the document.

    >>> colour_name("#0072B2")
    'c0072b2'
    """
    return f"c{colour[1:].lower()}"


def image(grid: Grid) -> str:
    """Return a tensor as an image of squares, half of it above the line it stands in."""
    cells = "".join(
        rf"\fill[sharp corners, {colour_name(colour)}] ({x},{y}) rectangle +(1,1);"
        for y, line in enumerate(grid.cells)
        for x, colour in enumerate(line)
    )
    base = -CELL * len(grid.cells) / 2
    return rf"\tikz[x={CELL:g}pt, y=-{CELL:g}pt, baseline={base:g}pt]{{{cells}}}"
