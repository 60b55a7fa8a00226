"""How much room text takes, the same on every machine.

Graphviz measures with whatever font it finds, and the reader's program draws with another one.
So boxes are sized here, after the widest of the usual sans-serif fonts (DejaVu Sans): the text
fits whichever font it is drawn with.
"""

from __future__ import annotations

import unicodedata

__all__ = ["FONT", "width"]

FONT = "Helvetica,Arial,sans-serif"

EM = {
    **dict.fromkeys("ijlI.,:;'|! ", 0.34),
    **dict.fromkeys('frt()[]{}/\\-"`J', 0.43),
    **dict.fromkeys("csvxyzk", 0.58),
    **dict.fromkeys("mwMWOQGDHNU%@×…+=<>~^#&", 0.86),
    **dict.fromkeys("mMW@%…", 1.0),
}
"""Widths of characters, as shares of the font's size; 0.65 unless named."""

BOLD = 1.12


def width(text: str, *, size: float, bold: bool = False) -> float:
    """Return the width of `text` in points, set in a font of `size` points.

    >>> width("weight", size=10) < width("weight", size=10, bold=True) < 60
    True
    """
    em = sum(EM.get(c, 0.65) if c < "\u2e80" else _wide(c) for c in text)
    return em * size * (BOLD if bold else 1.0)


def _wide(character: str) -> float:
    return 1.05 if unicodedata.east_asian_width(character) in "WF" else 0.8
