"""Mathematics typeset without TeX: LaTeX in, vector paths out."""

from __future__ import annotations

import re
import warnings
from functools import lru_cache
from xml.etree import ElementTree as ET

from gradtrace_graphviz.scene import Segment, Shape, Text

__all__ = ["typeset"]

Typeset = tuple[float, float, tuple[Shape | Text, ...]]


@lru_cache(maxsize=512)
def typeset(latex: str, size: float, colour: str) -> Typeset | None:
    """Return width, height and shapes of a formula; None where nothing here can typeset it."""
    try:
        from ziamath.zmath import Latex
    except ImportError:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            drawn = Latex(latex, size=size * 1.12).svgxml()
    except Exception:  # whatever a typesetter says to a formula that it cannot read
        return None
    return _read(drawn, colour)


def _read(drawn: ET.Element, colour: str) -> Typeset:
    """Return the shapes of a formula drawn as SVG."""
    left, top, wide, high = map(float, drawn.get("viewBox", "0 0 0 0").split())
    glyphs = {
        symbol.get("id", ""): (symbol.get("viewBox", ""), path.get("d", ""))
        for symbol in drawn.iter()
        if symbol.tag.endswith("symbol")
        for path in symbol.iter()
        if path.tag.endswith("path")
    }
    shapes: list[Shape | Text] = []
    for element in drawn:
        tag = element.tag.rpartition("}")[2]
        numbers = {
            name: float(element.get(name, "0"))
            for name in ("x", "y", "width", "height")
            if re.fullmatch(r"-?[\d.e+-]+", element.get(name, "0"))
        }
        if tag == "use":
            box, path = glyphs[next(v for k, v in element.attrib.items() if "href" in k)[1:]]
            x0, y0, w, _ = map(float, box.split())
            scale = numbers["width"] / w if w else 0.0
            ox, oy = numbers["x"] - left - x0 * scale, numbers["y"] - top - y0 * scale
            shapes.append(Shape(_path(path, scale, ox, oy), fill=colour))
        elif tag == "rect" and element.get("fill") != "none":
            from gradtrace_graphviz.scene import box as outline

            x, y = numbers["x"] - left, numbers["y"] - top
            shapes.append(Shape(outline(x, y, numbers["width"], numbers["height"]), fill=colour))
        elif tag == "path":
            shapes.append(Shape(_path(element.get("d", ""), 1.0, -left, -top), fill=colour))
    return wide, high, tuple(shapes)


def _path(d: str, scale: float, ox: float, oy: float) -> tuple[Segment, ...]:
    """Return an SVG path of absolute commands, quadratic curves as cubic ones."""
    segments: list[Segment] = []
    here = (0.0, 0.0)
    for name, body in re.findall(r"([MLQCZHVz])([^MLQCZHVz]*)", d):
        values = [float(v) for v in re.findall(r"-?\d*\.?\d+(?:e-?\d+)?", body)]
        if name in "Zz":
            segments.append(("Z", ()))
            continue
        if name == "H":
            values = [values[0], (here[1] - oy) / scale]
            name = "L"
        elif name == "V":
            values = [(here[0] - ox) / scale, values[0]]
            name = "L"
        points = [v * scale + (ox, oy)[i % 2] for i, v in enumerate(values)]
        if name == "Q":
            for i in range(0, len(points), 4):
                qx, qy, x, y = points[i : i + 4]
                control = (
                    here[0] + (qx - here[0]) * 2 / 3, here[1] + (qy - here[1]) * 2 / 3,
                    x + (qx - x) * 2 / 3, y + (qy - y) * 2 / 3,
                )  # fmt: skip
                segments.append(("C", (*control, x, y)))
                here = (x, y)
            continue
        step = 6 if name == "C" else 2
        segments += [(name, tuple(points[i : i + step])) for i in range(0, len(points), step)]
        here = (points[-2], points[-1])
    return tuple(segments)
