"""How much room text takes, the same on every machine.

Figures are set in Arimo, which comes with this package and has the widths of Helvetica, Arial and
Liberation Sans: where a program draws an SVG with one of those instead, the text fits as well.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from pathlib import Path

from fontTools.ttLib import TTFont

__all__ = ["FAMILY", "FONT", "FONTS", "font_file", "has", "width"]

FONT = "Helvetica,Arial,sans-serif"
"""What DOT text names, for other programs to draw."""

FAMILY = "Arimo"

FONTS = {False: "Arimo-Regular.ttf", True: "Arimo-Bold.ttf"}
"""File of the font, by whether it is bold."""


def font_file(*, bold: bool) -> Path:
    """Return the file of the font."""
    return Path(__file__).with_name("fonts") / FONTS[bold]


@lru_cache(maxsize=2)
def _widths(bold: bool) -> dict[int, float]:
    """Return the width of each character that the font has, as a share of its size."""
    with TTFont(font_file(bold=bold), lazy=True) as font:
        em = font["head"].unitsPerEm
        metrics = font["hmtx"].metrics
        return {code: metrics[name][0] / em for code, name in font.getBestCmap().items()}


@lru_cache(maxsize=4096)
def width(text: str, *, size: float, bold: bool = False) -> float:
    """Return the width of `text` in points, set in a font of `size` points.

    >>> width("weight", size=10) < width("weight", size=10, bold=True) < 60
    True
    """
    known = _widths(bold)
    return size * sum(known.get(ord(c)) or _foreign(c) for c in text)


def has(character: str) -> bool:
    """Tell whether the font has a character.

    >>> has("é"), has("∂"), has("中")
    (True, True, False)
    """
    return ord(character) in _widths(False)


def _foreign(character: str) -> float:
    """Return the width of a character that only other fonts have."""
    if unicodedata.combining(character):
        return 0.0
    return 1.05 if unicodedata.east_asian_width(character) in "WF" else 0.8
