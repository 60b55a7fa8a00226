"""A drawing as SVG: text stays text, in a font that the file brings with it."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from xml.sax.saxutils import escape, quoteattr

from fontTools import subset
from fontTools.ttLib import TTFont

from gradtrace_graphviz.fonts import FAMILY, font_file
from gradtrace_graphviz.scene import Group, Page, Segment, Shape, Text, flat

__all__ = ["to_svg"]

FONTS = f"{FAMILY},Helvetica,Liberation Sans,Arial,sans-serif"
"""The font of a figure, then those that are as wide, for programs that read no embedded one."""


def to_svg(page: Page) -> bytes:
    """Return `page` as SVG, encoded as UTF-8."""
    wide, high = page.width * page.scale, page.height * page.scale
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_n(wide)}pt" height="{_n(high)}pt" '
        f'viewBox="0 0 {_n(page.width)} {_n(page.height)}" '
        f"font-family={quoteattr(FONTS)}>",
        f"<title>{_text(page.title)}</title>",
        f"<style>{_faces(page)}</style>",
    ]
    if page.background:
        lines.append(f'<rect width="100%" height="100%" fill="{page.background}"/>')
    for group in page.groups:
        lines += _group(group)
    lines.append("</svg>\n")
    return "\n".join(lines).encode()


def _group(group: Group) -> Iterator[str]:
    opacity = f' opacity="{_n(group.opacity)}"' if group.opacity < 1 else ""
    yield f'<g class="{group.kind}"{opacity}>'
    if group.tooltip:
        yield f"<title>{_text(group.tooltip)}</title>"
    for part in flat(group.parts):
        yield _written(part) if isinstance(part, Text) else _drawn(part)
    yield "</g>"


def _written(text: Text) -> str:
    """Write a line of text, which is as long as in its font in any other one, too."""
    weight = ' font-weight="bold"' if text.bold else ""
    length = f' textLength="{_n(text.wide)}" lengthAdjust="spacingAndGlyphs"' if text.wide else ""
    return (
        f'<text x="{_n(text.x)}" y="{_n(text.y)}" font-size="{_n(text.size)}"{weight} '
        f'fill="{text.colour}"{length} xml:space="preserve">{_text(text.content)}</text>'
    )


def _drawn(shape: Shape) -> str:
    attributes = f'd="{_path(shape.path)}" fill="{shape.fill or "none"}"'
    if shape.stroke:
        attributes += f' stroke="{shape.stroke}" stroke-width="{_n(shape.width)}"'
    if shape.dash:
        attributes += f' stroke-dasharray="{" ".join(map(_n, shape.dash))}"'
    return f"<path {attributes}/>"


def _path(segments: Iterable[Segment]) -> str:
    """Write a path from each of its points to the next, which takes fewest characters.

    >>> _path((("M", (10.0, 20.5)), ("L", (10.25, 19.5)), ("Z", ())))
    'M10 20.5l.25-1z'
    """
    written = []
    x = y = 0.0
    for name, values in segments:
        ends = [round(value, 2) for value in values]
        steps = ends
        if name != "M":
            name = name.lower()
            steps = [end - (y if index % 2 else x) for index, end in enumerate(ends)]
        told = re.sub(r"(?<!\d)0\.", ".", " ".join(map(_n, steps)))
        written.append(name + told.replace(" -", "-"))
        x, y = ends[-2:] or (x, y)
    return "".join(written)


def _n(number: float) -> str:
    """Write a coordinate: two decimals are finer than any printer.

    >>> _n(3.0), _n(2.125), _n(-0.001)
    ('3', '2.12', '0')
    """
    return f"{round(number, 2) + 0.0:g}" if abs(number) < 1e4 else f"{number:.2f}"


def _text(content: str) -> str:
    """Escape `content`, whose characters XML may not have are replaced."""
    allowed = "".join(c if c >= " " or c in "\n\t" else "\ufffd" for c in content)
    return escape(allowed.encode("utf-8", "replace").decode().replace("\ufffe", "\ufffd")
                  .replace("\uffff", "\ufffd"))  # fmt: skip


def _faces(page: Page) -> str:
    """Return the fonts of the characters that `page` shows."""
    used: dict[bool, set[str]] = {}
    for group in page.groups:
        for part in group.parts:
            if isinstance(part, Text):
                used.setdefault(part.bold, set()).update(part.content)
    return "".join(_face(bold, _joined(used[bold])) for bold in sorted(used))


def _joined(characters: Iterable[str]) -> str:
    return "".join(sorted(characters))


@lru_cache(maxsize=32)
def _face(bold: bool, characters: str) -> str:
    """Return the part of the font that has `characters`, as a style rule."""
    options = subset.Options(hinting=False, layout_features=[], name_IDs=[1, 2])
    options.drop_tables += ["DSIG", "GDEF", "GPOS", "GSUB", "gasp"]
    font = TTFont(font_file(bold=bold), recalcTimestamp=False)
    worker = subset.Subsetter(options)
    worker.populate(text=characters)
    worker.subset(font)
    font.flavor = "woff"
    data = io.BytesIO()
    font.save(data)
    encoded = base64.b64encode(data.getvalue()).decode()
    weight = "bold" if bold else "normal"
    source = f"url(data:font/woff;base64,{encoded})"
    return f"@font-face{{font-family:{FAMILY};font-weight:{weight};src:{source}}}"
