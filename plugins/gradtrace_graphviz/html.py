"""Labels in the little HTML that Graphviz reads, with every text escaped."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape

from gradtrace.render.parts import Figure, FigureNode, Legend, Look, Row, Scale, Theme
from gradtrace_graphviz.fonts import width as narrow

__all__ = ["cluster_label", "graph_label", "node_label", "node_size"]

ROOM = 1.15
"""How much wider the fonts are, than the one that is measured, with which others draw DOT."""

SIZE = {"name": 11, "formula": 9, "detail": 8, "number": 9, "missing": 8, "alarm": 9}
"""Sizes of rows in points, whole ones: Graphviz cuts off what follows the point."""

GREY = ("detail", "missing")
"""Roles of rows in small print."""

CAPTION = 8
HEIGHT = 1.36
"""Height of a line, in font sizes."""

PAD = 7.0
"""Room between the text and the outline of a node, in points."""

LEAST = 40.0
"""Width of the text of the smallest node, in points."""

GAP = 10.0
"""Room between a caption and its number, in points."""

WRAP = 84
"""Characters of a line of remarks or notes."""

IN_LINE = 6
"""Looks in one line of the legend."""

PICTURE, LINE = 22, 18
"""Width of a picture in the legend, and height of a line there, in points."""


def width(text: str, *, size: float, bold: bool = False) -> float:
    """Return the width of `text`, whatever sans-serif font draws it."""
    return ROOM * narrow(text, size=size, bold=bold)


def text(content: str) -> str:
    r"""Escape `content` for a label: for XML, and for the backslashes that Graphviz replaces.

    >>> text(r'<a & "b\N">')
    '&lt;a &amp; &quot;b\\\\N&quot;&gt;'
    """
    return escape(content).replace("\\", "\\\\")


def font(content: str, *, size: int, colour: str, bold: bool = False) -> str:
    """Return `content` set in a font."""
    inner = text(content) or " "
    inner = f"<B>{inner}</B>" if bold else inner
    return f'<FONT POINT-SIZE="{size}" COLOR="{colour}">{inner}</FONT>'


def table(rows: Iterable[str], **attributes: str) -> str:
    """Return a table of rows, without any lines of its own unless told."""
    plain = {"BORDER": "0", "CELLBORDER": "0", "CELLSPACING": "0", "CELLPADDING": "0"}
    return f"<TABLE{_attributes(plain | attributes)}>{''.join(rows)}</TABLE>"


def row(cells: Iterable[str]) -> str:
    return f"<TR>{''.join(cells)}</TR>"


def cell(content: str, **attributes: str) -> str:
    return f"<TD{_attributes(attributes)}>{content}</TD>"


def _attributes(attributes: dict[str, str]) -> str:
    return "".join(f' {name}="{value}"' for name, value in attributes.items())


def node_size(node: FigureNode) -> tuple[float, float]:
    """Return width and height of a node in points."""
    height = sum(SIZE[each.role] * HEIGHT for each in node.rows)
    return sum(_columns(node)) + 2 * PAD, height + PAD


def _columns(node: FigureNode) -> tuple[int, int]:
    """Return the widths of the captions and of the numbers in points."""
    pairs = [line for line in node.rows if line.caption]
    captions = max((width(line.caption, size=CAPTION) + GAP for line in pairs), default=0.0)
    numbers = max((width(line.text, size=SIZE[line.role]) for line in pairs), default=0.0)
    whole = [
        width(line.text, size=SIZE[line.role], bold=line.role == "name")
        for line in node.rows
        if not line.caption
    ]
    inner = max([captions + numbers, LEAST, *whole])
    return round(captions), round(inner) - round(captions)


def node_label(node: FigureNode, theme: Theme) -> str:
    """Return the label of a node: its rows, numbers to the right."""
    columns = _columns(node)
    return f"<{table(_node_row(line, *columns, theme) for line in node.rows)}>"


def _node_row(line: Row, captions: int, numbers: int, theme: Theme) -> str:
    """Return one row; the cells' own widths, not the table's, are what Graphviz aligns by."""
    colour = theme.alarm if line.role == "alarm" else theme.ink
    colour = theme.grey if line.role in GREY else colour
    shown = font(line.text, size=SIZE[line.role], colour=colour, bold=line.role == "name")
    if not line.caption:
        return row([cell(shown, ALIGN="LEFT", COLSPAN="2", WIDTH=f"{captions + numbers}")])
    caption = font(line.caption, size=CAPTION, colour=theme.grey)
    left = cell(caption, ALIGN="LEFT", WIDTH=f"{captions}")
    return row([left, cell(shown, ALIGN="RIGHT", WIDTH=f"{numbers}")])


def cluster_label(label: str, theme: Theme) -> str:
    """Return the label of a frame."""
    return f"<{font(label, size=10, colour=theme.grey, bold=True)}>"


def graph_label(figure: Figure) -> str:
    """Return what stands above a figure: title, legend and note; empty where there is none."""
    lines: list[str] = []
    if figure.title:
        lines.append(font(figure.title, size=14, colour=figure.theme.ink, bold=True))
    if figure.legend:
        lines += _legend(figure.legend, figure.theme)
    if figure.note:
        note = _wrapped(figure.note.split(), between=" ")
        lines += [font(line, size=9, colour=figure.theme.ink) for line in note]
    if not lines:
        return ""
    rows = [row([cell(line, ALIGN="LEFT", CELLPADDING="2")]) for line in lines]
    rows.append(row([cell(font("", size=6, colour=figure.theme.grey))]))
    return f"<{table(rows)}>"


def _legend(legend: Legend, theme: Theme) -> list[str]:
    """Return the lines of the legend: looks, strokes, remarks."""
    looks = [(_swatch(look), look.meaning) for look in legend.looks]
    lines = [_line(looks[i : i + IN_LINE], theme) for i in range(0, len(looks), IN_LINE)]
    if legend.scale:
        strokes = [(_stroke(sample), sample.text) for sample in legend.scale]
        lines.append(_line([("", "‖downstream gradient‖"), *strokes], theme))
    remarks = _wrapped(legend.remarks, between="  ·  ")
    return lines + [font(line, size=CAPTION, colour=theme.grey) for line in remarks]


def _line(entries: Sequence[tuple[str, str]], theme: Theme) -> str:
    """Return pictures with their meanings side by side.

    All sizes are fixed, for Graphviz widens what is free until lines are equally long.
    """
    sizes: list[tuple[str, int]] = []
    for picture, meaning in entries:
        sizes += [(picture, PICTURE), ("", 5)] if picture else []
        shown = font(meaning, size=CAPTION, colour=theme.grey)
        sizes.append((shown, round(width(meaning, size=CAPTION)) + 12))
    cells = [_fixed(cell, content, wide) for content, wide in sizes]
    return _fixed(table, [row(cells)], sum(wide for _, wide in sizes))


def _fixed(make: Callable[..., str], content: object, wide: int, high: int = LINE) -> str:
    """Return a cell or a table of fixed size, its content to the left."""
    size = {"FIXEDSIZE": "TRUE", "WIDTH": f"{wide}", "HEIGHT": f"{high}"}
    return make(content, ALIGN="LEFT", **size)


def _swatch(look: Look) -> str:
    """Return a small picture of a look."""
    style = {"rounded": "ROUNDED", "dashed": "DASHED", "double": "ROUNDED"}.get(look.shape)
    attributes = {"BORDER": "1", "COLOR": look.line, "BGCOLOR": look.fill}
    attributes |= {"STYLE": style} if style else {}
    double = look.shape == "double"
    size = (PICTURE - 6, LINE - 9) if double else (PICTURE - 2, LINE - 5)
    blank = {"FIXEDSIZE": "TRUE", "WIDTH": f"{size[0]}", "HEIGHT": f"{size[1]}"}
    picture = table([row([cell("", **blank)])], **attributes)
    return table([row([cell(picture)])], **attributes, CELLPADDING="1") if double else picture


def _stroke(sample: Scale) -> str:
    """Return a small picture of an arrow's line."""
    height = f"{max(1, round(sample.width)):d}"
    parts = {"solid": [PICTURE], "dashed": [6, 6, 6], "dotted": [2] * 6}[sample.line]
    cells: list[str] = []
    for index, length in enumerate(parts):
        bar = {"WIDTH": f"{length}", "HEIGHT": height, "FIXEDSIZE": "TRUE"}
        cells += [cell("", WIDTH="2")] if index else []
        cells.append(cell("", BGCOLOR=sample.colour, **bar))
    return table([row(cells)], ALIGN="LEFT")


def _wrapped(pieces: Iterable[str], *, between: str) -> list[str]:
    """Return `pieces` in lines of at most `WRAP` characters where they fit."""
    lines: list[str] = []
    for piece in pieces:
        if lines and len(lines[-1]) + len(between) + len(piece) <= WRAP:
            lines[-1] += between + piece
        else:
            lines.append(piece)
    return lines
