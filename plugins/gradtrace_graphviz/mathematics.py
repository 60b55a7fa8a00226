"""Mathematics typeset without TeX: LaTeX in, vector paths out."""

from __future__ import annotations

import re
import warnings
from functools import lru_cache
from xml.etree import ElementTree as ET

from gradtrace_graphviz.scene import Segment, Shape, box

__all__ = ["ENLARGED", "typeset"]

Typeset = tuple[float, float, float, tuple[Shape, ...]]
"""Width, height above and below the base line, and shapes, which begin on it."""

ENLARGED = 1.12
"""How much larger mathematics is set than text, whose letters are wider."""


@lru_cache(maxsize=512)
def typeset(latex: str, size: float, colour: str) -> Typeset | None:
    """Return a formula as shapes; None where it cannot be typeset.

    Then its text is drawn: there is no ziamath, or it does not know some command.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            drawn = _drawn(latex, size * ENLARGED)
        except Exception:  # whatever a typesetter says to a formula that it cannot read
            return None
    return _read(drawn, colour)


def _drawn(latex: str, size: float) -> ET.Element:
    """Return a formula as SVG of paths alone, without symbols that are used elsewhere."""
    from ziafont.config import config
    from ziamath.zmath import Latex

    before, config.svg2 = config.svg2, False
    try:
        drawn: ET.Element = Latex(latex, size=size).svgxml()
        return drawn
    finally:
        config.svg2 = before


def _read(drawn: ET.Element, colour: str) -> Typeset:
    """Return the shapes of a formula drawn as SVG."""
    left, top, wide, high = map(float, drawn.get("viewBox", "").split())
    shapes: list[Shape] = []
    for element in drawn.iter():
        tag = element.tag.rpartition("}")[2]
        if tag == "path":
            shapes.append(Shape(_path(element.get("d", ""), -left, 0.0), fill=colour))
        elif tag == "rect":
            x, y, w, h = (float(element.get(name, "0")) for name in ("x", "y", "width", "height"))
            shapes.append(Shape(box(x - left, y, w, h), fill=colour))
    return wide, -top, high + top, tuple(shapes)


def _path(written: str, dx: float, dy: float) -> tuple[Segment, ...]:
    """Return a path of absolute lines and quadratic curves, moved.

    >>> _path("M 0 0 L 1 0 Z", 1, 2)
    (('M', (1.0, 2.0)), ('L', (2.0, 2.0)), ('Z', ()))
    """
    segments: list[Segment] = []
    for name, body in re.findall(r"([A-Za-z])([^A-Za-z]*)", written):
        values = [float(v) + (dx, dy)[i % 2] for i, v in enumerate(body.replace(",", " ").split())]
        if name in "MLQCZ":
            segments.append((name, tuple(values)))
        else:
            raise ValueError(f"the path command {name!r} is not one that ziafont writes")
    return tuple(segments)
