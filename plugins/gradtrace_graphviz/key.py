"""The legend of a drawing, set in lines below it."""

from __future__ import annotations

from collections.abc import Sequence

from gradtrace.render.parts import Figure, Legend, Look, Scale, Theme
from gradtrace_graphviz.arrows import DASH
from gradtrace_graphviz.content import Content, phrase, stacked
from gradtrace_graphviz.fonts import width
from gradtrace_graphviz.scene import Part, Shape, box, line

__all__ = ["key"]

SWATCH = (15.0, 7.0)
GAP = 9.0


def key(figure: Figure, room: float) -> Content:
    """Return the legend and the note of `figure`, in lines no wider than `room` if they fit."""
    theme = figure.theme
    lines: list[Content] = []
    if figure.legend:
        looks, strokes = _looks(figure.legend, theme), _strokes(figure.legend, theme)
        both = _lines([*looks, *strokes], room, GAP)
        lines += both if len(both) == 1 else [each for part in (looks, strokes)
                                              for each in _lines(part, room, GAP)]  # fmt: skip
        lines += _paragraph(" · ".join(figure.legend.remarks), theme, room)
    return stacked([*lines, *_paragraph(figure.note or "", theme, room)])


def _paragraph(text: str, theme: Theme, room: float) -> list[Content]:
    """Return text in lines that are not wider than `room`."""
    size = theme.sizes["detail"]
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and width(longer, size=size) <= room:
            lines[-1] = longer
        else:
            lines.append(word)
    return [_words(line, theme) for line in lines]


def _looks(legend: Legend, theme: Theme) -> list[Content]:
    return [_explained(_swatch(look), look.meaning, theme) for look in legend.looks]


def _strokes(legend: Legend, theme: Theme) -> list[Content]:
    samples = [_explained(_stroke(sample), sample.text, theme) for sample in legend.scale]
    return [_words("‖downstream gradient‖", theme), *samples] if samples else []


def _words(text: str, theme: Theme) -> Content:
    return phrase(text, size=theme.sizes["detail"], colour=theme.grey)


def _explained(picture: tuple[Shape, ...], meaning: str, theme: Theme) -> Content:
    words = _words(meaning, theme)
    x = SWATCH[0] + 3
    middle = (words.height - SWATCH[1]) / 2
    shapes: tuple[Part, ...] = Content(0, 0, picture).at(0, middle)
    return Content(x + words.width, words.height, (*shapes, *words.at(x, 0)))


def _swatch(look: Look) -> tuple[Shape, ...]:
    """Return a small picture of a look."""
    wide, high = SWATCH
    radius = 0.0 if look.shape == "rectangle" else 2.5
    dash = (2.0, 1.5) if look.shape == "dashed" else ()
    outer = Shape(box(0.5, 0, wide - 1, high, radius), look.fill, look.line, 1.0, dash)
    if look.shape != "double":
        return (outer,)
    return outer, Shape(box(2, 1.5, wide - 4, high - 3, 1.5), None, look.line, 0.6)


def _stroke(sample: Scale) -> tuple[Shape, ...]:
    """Return a small picture of an arrow's line."""
    wide, high = SWATCH
    path = line(((0, high / 2), (wide, high / 2)))
    return (Shape(path, None, sample.colour, sample.width, DASH[sample.line]),)


def _lines(entries: Sequence[Content], room: float, gap: float) -> list[Content]:
    """Return entries in lines that are filled before the next is begun."""
    lines: list[list[tuple[float, Content]]] = []
    right = 0.0
    for each in entries:
        if lines and right + gap + each.width <= room:
            right += gap
            lines[-1].append((right, each))
        else:
            right = 0.0
            lines.append([(0.0, each)])
        right += each.width
    return [_line(placed) for placed in lines]


def _line(placed: list[tuple[float, Content]]) -> Content:
    high = max(each.height for _, each in placed) + 1.5
    parts = tuple(part for x, each in placed for part in each.at(x, high - each.height))
    return Content(placed[-1][0] + placed[-1][1].width, high, parts)
