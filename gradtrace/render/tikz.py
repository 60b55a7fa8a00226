"""A figure as a LaTeX document of its own, drawn with TikZ."""

from __future__ import annotations

from collections.abc import Iterator

from gradtrace.render.latex import words
from gradtrace.render.layout import Layout, Spot, lay_out
from gradtrace.render.parts import Cluster, Figure, FigureEdge, FigureNode, Legend, Look, Row

__all__ = ["write"]

PREAMBLE = r"""\documentclass[border=4pt]{standalone}
\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\usepackage{amsmath,amssymb,textcomp}
\IfFileExists{lmodern.sty}{\usepackage{lmodern}}{\usepackage{helvet}}
\usepackage{tikz}
\usetikzlibrary{arrows.meta,backgrounds}
\renewcommand{\familydefault}{\sfdefault}"""

SHAPES = {
    "rectangle": "",
    "rounded": "rounded corners=3pt",
    "double": "rounded corners=3pt, double, double distance=1pt",
    "dashed": "dashed",
}

PAD = 5.0
LEADING = 1.22
"""Distance of lines, in font sizes."""

GAP = 8.0
"""Room between a caption and its number, in points."""

CHARACTER = 0.56
"""Mean width of a character of the font, in font sizes."""

BOLD = 1.1

BASE = {"down": ("south", "north"), "up": ("north", "south")} | {
    "right": ("east", "west"),
    "left": ("west", "east"),
}
"""Sides at which arrows leave and enter a box."""

ANGLES = {"south": -90, "north": 90, "east": 0, "west": 180}

SIDES = {"down": ("east", "west"), "up": ("east", "west")} | {
    "right": ("south", "north"),
    "left": ("south", "north"),
}
"""Sides at which arrows leave a leaf that stands beside its call: on the left, on the right."""


def write(figure: Figure) -> str:
    """Return `figure` as LaTeX, to be compiled as it is or put into a paper with `standalone`.

    Formulas are LaTeX source. A figure wider than its page is scaled down to it.
    """
    sizes = {node.id: _size(node, figure) for node in figure.nodes}
    layout = lay_out(figure, sizes)
    picture = [
        rf"\begin{{tikzpicture}}[{_options(figure)}]",
        *_frames(figure, layout),
        *(_node(node, layout.nodes[node.id], figure) for node in figure.nodes),
        *_edges(figure, layout),
        *_captions(figure, layout),
        r"\end{tikzpicture}",
    ]
    wide = figure.width is not None and _extent(layout) > 72.27 * figure.width
    if wide:
        picture = [rf"\resizebox{{{figure.width:g}in}}{{!}}{{%", *picture, "}"]
    body = "\n".join(picture)
    colours = "\n".join(_definition(colour) for colour in _colours(figure))
    return "\n".join([PREAMBLE, colours, r"\begin{document}", body, r"\end{document}", ""])


def _size(node: FigureNode, figure: Figure) -> tuple[float, float]:
    """Return about how wide and high a box is."""
    width = max((_width(row, figure) for row in node.rows), default=0.0)
    height = len(node.rows) * figure.theme.sizes["number"] * LEADING
    return max(width, 34.0) + 2 * PAD, height + 2 * PAD


def _points(row: Row, figure: Figure) -> float:
    sizes = figure.theme.sizes
    role = {"missing": "detail", "alarm": "number", "formula": "number"}.get(row.role, row.role)
    return sizes[role]


def _width(row: Row, figure: Figure) -> float:
    bold = BOLD if row.role == "name" else 1.0
    wide = len(row.text) * CHARACTER * _points(row, figure) * bold
    if row.caption:
        wide += len(row.caption) * CHARACTER * figure.theme.sizes["detail"] + GAP
    return wide


def _options(figure: Figure) -> str:
    options = ["x=1pt", "y=-1pt", "line width=0.8pt", "inner sep=0pt", "outer sep=0.6pt"]
    options.append(f"text={_name(figure.theme.ink)}")
    options.append("tip/.style={-{Stealth[length=4pt,width=3.4pt]}}")
    if figure.theme.background:
        fill = _name(figure.theme.background)
        options.append(f"show background rectangle, background rectangle/.style={{fill={fill}}}")
        options.append("inner frame sep=6pt")
    looks = {node.look.role: node.look for node in figure.nodes}
    options += [f"{role}/.style={{{_style(look)}}}" for role, look in looks.items()]
    return ",\n  ".join(options)


def _style(look: Look) -> str:
    parts = [f"draw={_name(look.line)}", f"fill={_name(look.fill)}", SHAPES[look.shape]]
    return ", ".join(part for part in parts if part)


def _frames(figure: Figure, layout: Layout) -> Iterator[str]:
    """Yield the frames, outer ones first, each with its label in the upper left corner."""
    depths: dict[str | None, int] = {None: -1}
    theme = figure.theme
    for cluster in figure.clusters:
        depth = depths[cluster.id] = depths[cluster.parent] + 1
        fill = theme.frames[depth % len(theme.frames)]
        yield _frame(cluster, layout.frames[cluster.id], f"{theme.frame}{fill}", figure)


def _frame(cluster: Cluster, spot: Spot, colours: str, figure: Figure) -> str:
    left, top = spot.x - spot.width / 2, spot.y - spot.height / 2
    line, fill = _name(colours[:7]), _name(colours[7:])
    label = _font(figure.theme.sizes["detail"]) + rf"\bfseries {words(cluster.label)}"
    grey = _name(figure.theme.grey)
    repeats = rf"~$\times\,${cluster.repeats}" if cluster.repeats > 1 else ""
    return (
        rf"\draw[{line}, fill={fill}, rounded corners=4pt] ({left:.1f},{top:.1f}) rectangle "
        rf"+({spot.width:.1f},{spot.height:.1f});"
        "\n"
        rf"\node[anchor=north west, text={grey}] at ({left + 5:.1f},{top + 4:.1f}) "
        rf"{{{label}{repeats}}};"
    )


def _node(node: FigureNode, spot: Spot, figure: Figure) -> str:
    rows = r" \\ ".join(_row(row, figure) for row in node.rows)
    inner = _font(figure.theme.sizes["number"])
    inner += rf"\begin{{tabular}}{{@{{}}l@{{\hspace{{{GAP:g}pt}}}}r@{{}}}}{rows}\end{{tabular}}"
    size = f"minimum width={spot.width:.1f}pt, minimum height={spot.height:.1f}pt"
    mark = {
        "highlighted": f", draw={_name(figure.theme.accent)}, line width=1.8pt",
        "faded": ", opacity=0.3",
    }.get(node.emphasis, "")
    at = f"({spot.x:.1f},{spot.y:.1f})"
    return rf"\node[{node.look.role}, {size}{mark}] ({node.id}) at {at} {{{inner}}};"


def _row(row: Row, figure: Figure) -> str:
    theme = figure.theme
    colour = {"detail": theme.grey, "missing": theme.grey, "alarm": theme.alarm}
    bold = r"\bfseries " if row.role == "name" else ""
    shown = rf"${row.latex}$" if row.latex else words(row.text) or "~"
    font = _font(_points(row, figure)) + rf"\color{{{_name(colour.get(row.role, theme.ink))}}}"
    text = f"{font}{bold}{shown}"
    if not row.caption:
        return rf"\multicolumn{{2}}{{@{{}}l@{{}}}}{{{text}}}"
    small = _font(theme.sizes["detail"]) + rf"\color{{{_name(theme.grey)}}}"
    return rf"{{{small}{words(row.caption)}}} & {{{text}}}"


def _font(points: float) -> str:
    return rf"\fontsize{{{points:g}}}{{{points * LEADING:.3g}}}\selectfont "


def _edges(figure: Figure, layout: Layout) -> Iterator[str]:
    rightmost = max((s.x + s.width / 2 for s in layout.nodes.values()), default=0.0)
    for edge, lanes in zip(figure.edges, layout.lanes, strict=True):
        yield _edge(edge, lanes, figure, layout, rightmost)


def _edge(
    edge: FigureEdge,
    lanes: tuple[tuple[float, float], ...],
    figure: Figure,
    layout: Layout,
    rightmost: float,
) -> str:
    style = [_name(edge.colour), f"line width={edge.width:g}pt", "tip"]
    style += [] if edge.line == "solid" else [edge.line]
    style += ["opacity=0.3"] if edge.emphasis == "faded" else []
    if edge.emphasis == "highlighted":
        style[0] = _name(figure.theme.accent)
    label = _label(edge, figure, beside=edge.tail in layout.beside)
    return rf"\draw[{', '.join(style)}] {_way(edge, lanes, figure, layout, label, rightmost)};"


def _way(
    edge: FigureEdge,
    lanes: tuple[tuple[float, float], ...],
    figure: Figure,
    layout: Layout,
    label: str,
    rightmost: float,
) -> str:
    """Return the path of an arrow: beside, back, around, or through its lanes."""
    tail, head = edge.tail, edge.head
    if edge.tail in layout.beside and edge.kind == "value":
        side = SIDES[figure.direction][layout.beside[tail] == "right"]
        return f"({tail}.{side}) -- {label}({head}.{_opposite(side)})"
    if edge.kind in ("gradient", "carried"):
        return f"({tail}) to[bend right=28] {label}({head})"
    leave, enter = BASE[figure.direction]
    if edge.kind == "skip" and figure.direction in ("down", "up"):
        reach = _reach(layout, tail, head)
        start, end = layout.nodes[tail], layout.nodes[head]
        first, last = (reach - each.x - each.width / 2 for each in (start, end))
        return (
            f"({tail}.east) .. controls +({first * 4 / 3:.1f},0) and "
            f"+({last * 4 / 3:.1f},0) .. {label}({head}.east)"
        )
    bend = f"to[out={ANGLES[leave]},in={ANGLES[enter]}]"
    steps = "".join(
        f"{'--' if at % 2 else bend} ({x:.1f},{y:.1f}) " for at, (x, y) in enumerate(lanes)
    )
    return f"({tail}.{leave}) {steps}{bend} {label}({head}.{enter})"


def _reach(layout: Layout, tail: str, head: str) -> float:
    """Return how far to the right a skip goes around what lies between its ends."""
    low, high = sorted((layout.nodes[tail].y, layout.nodes[head].y))
    between = [s.x + s.width / 2 for s in layout.nodes.values() if low <= s.y <= high]
    return max(between) + 14.0


def _opposite(side: str) -> str:
    return {"east": "west", "west": "east", "north": "south", "south": "north"}[side]


def _label(edge: FigureEdge, figure: Figure, *, beside: bool) -> str:
    """Return the label of an arrow: above one from the side, else to the right of it."""
    if not edge.label:
        return ""
    shown = f"${edge.latex}$" if edge.latex else words(edge.label)
    font = _font(figure.theme.sizes["detail"] - 0.5)
    across = beside != (figure.direction in ("right", "left"))
    side = "above=0.5pt" if across else "right=1.5pt"
    return rf"node[{side}, midway, text={_name(figure.theme.grey)}] {{{font}{shown}}} "


def _extent(layout: Layout) -> float:
    spots = [*layout.nodes.values(), *layout.frames.values()]
    left = min((spot.x - spot.width / 2 for spot in spots), default=0.0)
    return max((spot.x + spot.width / 2 for spot in spots), default=0.0) - left


def _captions(figure: Figure, layout: Layout) -> Iterator[str]:
    """Yield title and legend, above the figure."""
    spots = [*layout.nodes.values(), *layout.frames.values()]
    if not spots:
        return
    left = min(spot.x - spot.width / 2 for spot in spots)
    top = min(spot.y - spot.height / 2 for spot in spots) - 10
    lines = []
    if figure.title:
        lines.append(_font(figure.theme.sizes["title"]) + rf"\bfseries {words(figure.title)}")
    if figure.legend:
        lines += _legend(figure.legend, figure)
    if figure.note:
        lines.append(_font(figure.theme.sizes["detail"]) + words(figure.note))
    if lines:
        body = r" \\[3pt] ".join(f"{{{line}}}" for line in lines)
        wide = max(_extent(layout), 240.0)
        yield (
            rf"\node[anchor=south west, align=left, text width={wide:.0f}pt] "
            rf"at ({left:.1f},{top:.1f}) {{{body}}};"
        )


def _legend(legend: Legend, figure: Figure) -> Iterator[str]:
    small = _font(figure.theme.sizes["detail"]) + rf"\color{{{_name(figure.theme.grey)}}}"
    looks = [
        rf"\mbox{{\fcolorbox{{{_name(look.line)}}}{{{_name(look.fill)}}}"
        rf"{{\rule{{0pt}}{{3pt}}\rule{{6pt}}{{0pt}}}}~{words(look.meaning)}}}"
        for look in legend.looks
    ]
    if looks:
        yield small + r"\quad ".join(looks)
    samples = [
        rf"\mbox{{\textcolor{{{_name(sample.colour)}}}"
        rf"{{\rule[1.5pt]{{12pt}}{{{sample.width:g}pt}}}}~{words(sample.text)}}}"
        for sample in legend.scale
    ]
    if samples:
        yield small + r"$\|$downstream gradient$\|$\quad " + r"\quad ".join(samples)
    if legend.remarks:
        yield small + words("  ·  ".join(legend.remarks))


def _colours(figure: Figure) -> list[str]:
    """Return the colours of the figure, as they are named in it."""
    theme = figure.theme
    used = {theme.ink, theme.grey, theme.alarm, theme.accent, theme.frame, theme.ground}
    used |= {*theme.frames, *([theme.background] if theme.background else [])}
    used |= {colour for node in figure.nodes for colour in (node.look.line, node.look.fill)}
    used |= {edge.colour for edge in figure.edges}
    if figure.legend:
        used |= {sample.colour for sample in figure.legend.scale}
        used |= {c for look in figure.legend.looks for c in (look.line, look.fill)}
    return sorted(used)


def _name(colour: str) -> str:
    return f"c{colour[1:].lower()}"


def _definition(colour: str) -> str:
    return rf"\definecolor{{{_name(colour)}}}{{HTML}}{{{colour[1:].upper()}}}"
