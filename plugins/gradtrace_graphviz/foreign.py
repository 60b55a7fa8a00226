"""Characters that the font of figures does not have, as outlines from a font of this machine."""

from __future__ import annotations

import io
import subprocess
import warnings
from collections.abc import Iterator
from functools import cache, lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any

from fontTools.pens.basePen import BasePen
from fontTools.ttLib import TTFont, TTLibError

from gradtrace_graphviz.fonts import has, width
from gradtrace_graphviz.scene import Group, Page, Point, Segment, Shape, Text, box, flat

__all__ = ["outlined"]

PLAIN = ("bold", "oblique", "italic", "mono", "condensed")
"""What the file of a font is called by which other ones are preferred."""


def outlined(page: Page) -> list[Group]:
    """Return what is on `page`, with shapes for the characters that its font does not have.

    Warns of those that no font here has, for which an empty box is drawn.
    """
    groups = []
    missing: dict[str, str] = {}
    for group in page.groups:
        where = group.tooltip.partition("\n")[0] or group.kind
        parts = [each for part in flat(group.parts) for each in _known(part, missing, where)]
        groups.append(Group(group.kind, tuple(parts), group.tooltip, group.opacity))
    if missing:
        signs = ", ".join(f"{c!r} (U+{ord(c):04X}) in {missing[c]!r}" for c in sorted(missing))
        warnings.warn(
            f"no font of this machine has {signs}: a box is drawn instead; install a font that "
            "does, or use format='svg', which is drawn with the reader's fonts",
            stacklevel=2,
        )
    return groups


def _known(part: Shape | Text, missing: dict[str, str], where: str) -> Iterator[Shape | Text]:
    """Yield a part as what can be drawn; characters that cannot be go to `missing`, with where."""
    if isinstance(part, Shape) or all(map(has, part.content)):
        yield part
        return
    x = part.x
    for own, run in groupby(part.content, key=has):
        for piece in ["".join(run)] if own else run:
            wide = width(piece, size=part.size, bold=part.bold)
            if own:
                yield Text(x, part.y, piece, part.size, part.colour, part.bold, wide)
            else:
                sign = _sign(piece, (x, part.y), part, wide)
                if sign is None:
                    missing.setdefault(piece, where)
                yield sign or _blank((x, part.y), part, wide)
            x += wide


def _blank(at: Point, text: Text, wide: float) -> Shape:
    high = 0.7 * text.size
    path = box(at[0] + 0.1 * wide, at[1] - high, 0.8 * wide, high)
    return Shape(path, stroke=text.colour, width=0.06 * text.size)


def _sign(character: str, at: Point, text: Text, wide: float) -> Shape | None:
    """Return a character as a shape, in the middle of its room; None if no font has it."""
    found = outline(character)
    if found is None:
        return None
    path, advance = found
    scale = min(text.size, wide / advance if advance else text.size)
    left = at[0] + (wide - advance * scale) / 2
    place = (left, at[1])
    moved = tuple(
        (name, tuple(scale * value + place[i % 2] for i, value in enumerate(values)))
        for name, values in path
    )
    return Shape(moved, fill=text.colour)


@lru_cache(maxsize=4096)
def outline(character: str) -> tuple[tuple[Segment, ...], float] | None:
    """Return the outline of a character and its width, for a size of 1; None if no font has it."""
    if not character.isprintable():
        return None
    for file in _files(character):
        font = _font(file)
        name = font.getBestCmap().get(ord(character)) if font else None
        if font is None or name is None:
            continue
        glyphs = font.getGlyphSet()
        pen = _Pen(glyphs, 1 / font["head"].unitsPerEm)
        glyphs[name].draw(pen)
        if pen.path:
            return tuple(pen.path), glyphs[name].width * pen.scale
    return None


def _files(character: str) -> list[str]:
    """Return the fonts that fontconfig knows to have a character, plain ones first."""
    command = ["fc-list", f":charset={ord(character):x}", "file"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return []
    files = sorted(line.rpartition(":")[0] for line in told.stdout.splitlines() if line.strip())
    return sorted(files, key=lambda file: any(word in file.lower() for word in PLAIN))


@cache
def _font(file: str) -> TTFont | None:
    """Return a font that has outlines."""
    try:
        font = TTFont(io.BytesIO(Path(file).read_bytes()), fontNumber=0, lazy=True)
    except (OSError, TTLibError):
        return None
    return font if "glyf" in font or "CFF " in font else None


class _Pen(BasePen):  # type: ignore[misc]
    """Draws a glyph as the segments of a path, y downwards."""

    def __init__(self, glyphs: Any, scale: float) -> None:
        super().__init__(glyphs)
        self.scale = scale
        self.path: list[Segment] = []

    def _add(self, name: str, *points: Point) -> None:
        scale = self.scale
        self.path.append((name, tuple(v * s for p in points for v, s in zip(p, (scale, -scale)))))  # noqa: B905

    def _moveTo(self, point: Point) -> None:  # noqa: N802
        self._add("M", point)

    def _lineTo(self, point: Point) -> None:  # noqa: N802
        self._add("L", point)

    def _curveToOne(self, first: Point, second: Point, third: Point) -> None:  # noqa: N802
        self._add("C", first, second, third)

    def _closePath(self) -> None:  # noqa: N802
        self._add("Z")
