"""Boxes and frames in TikZ."""

from __future__ import annotations

from collections.abc import Iterator

from gradtrace.render.latex import words
from gradtrace.render.layout import Layout, Spot
from gradtrace.render.parts import Cluster, Figure, FigureNode, Grid, Look, Row
from gradtrace.render.tikz.signs import CELL, LEADING, colour_name, font, image

__all__ = ["box_size", "boxes", "frames", "style"]

SHAPES = {
    "rectangle": "",
    "rounded": "rounded corners=3pt",
    "double": "rounded corners=3pt, double, double distance=1pt",
    "dashed": "dashed",
}

PAD = 5.0

GAP = 8.0
"""Room between a caption and its number, in points."""

CHARACTER = 0.56
"""Mean width of a character of the font, in font sizes."""

BOLD = 1.1


def box_size(node: FigureNode, figure: Figure) -> tuple[float, float]:
    """Return about how wide and high a box is."""
    width = max((_width(row, figure) for row in node.rows), default=0.0)
    height = len(node.rows) * figure.theme.sizes["number"] * LEADING
    for grid in node.grids:
        width = max(width, CELL * max(map(len, grid.cells)) + 40.0)
        height += CELL * len(grid.cells) + 4.0
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


def style(look: Look) -> str:
    """Return how boxes of one role are drawn."""
    parts = [f"draw={colour_name(look.line)}", f"fill={colour_name(look.fill)}", SHAPES[look.shape]]
    return ", ".join(part for part in parts if part)


def frames(figure: Figure, layout: Layout) -> Iterator[str]:
    """Yield the frames, outer ones first, each with its label in the upper left corner."""
    depths: dict[str | None, int] = {None: -1}
    theme = figure.theme
    for cluster in figure.clusters:
        depth = depths[cluster.id] = depths[cluster.parent] + 1
        fill = theme.frames[depth % len(theme.frames)]
        yield _frame(cluster, layout.frames[cluster.id], f"{theme.frame}{fill}", figure)


def _frame(cluster: Cluster, spot: Spot, colours: str, figure: Figure) -> str:
    left, top = spot.x - spot.width / 2, spot.y - spot.height / 2
    line, fill = colour_name(colours[:7]), colour_name(colours[7:])
    label = font(figure.theme.sizes["detail"]) + rf"\bfseries {words(cluster.label)}"
    grey = colour_name(figure.theme.grey)
    repeats = rf"~$\times\,${cluster.repeats}" if cluster.repeats > 1 else ""
    return (
        rf"\draw[{line}, fill={fill}, rounded corners=4pt] ({left:.1f},{top:.1f}) rectangle "
        rf"+({spot.width:.1f},{spot.height:.1f});"
        "\n"
        rf"\node[anchor=north west, text={grey}] at ({left + 5:.1f},{top + 4:.1f}) "
        rf"{{{label}{repeats}}};"
    )


def boxes(figure: Figure, layout: Layout) -> Iterator[str]:
    """Yield the boxes, each where the layout has it."""
    for node in figure.nodes:
        yield _node(node, layout.nodes[node.id], figure)


def _node(node: FigureNode, spot: Spot, figure: Figure) -> str:
    lines = [_row(row, figure) for row in node.rows]
    small = font(figure.theme.sizes["detail"]) + rf"\color{{{colour_name(figure.theme.grey)}}}"
    lines += [
        rf"{{{small}{words(grid.caption)}}} & {image(grid)}\rule{{0pt}}{{{_high(grid):g}pt}}"
        for grid in node.grids
    ]
    rows = r" \\ ".join(lines)
    inner = font(figure.theme.sizes["number"])
    inner += rf"\begin{{tabular}}{{@{{}}l@{{\hspace{{{GAP:g}pt}}}}r@{{}}}}{rows}\end{{tabular}}"
    size = f"minimum width={spot.width:.1f}pt, minimum height={spot.height:.1f}pt"
    mark = {
        "highlighted": f", draw={colour_name(figure.theme.accent)}, line width=1.8pt",
        "faded": ", opacity=0.3",
    }.get(node.emphasis, "")
    at = f"({spot.x:.1f},{spot.y:.1f})"
    return rf"\node[{node.look.role}, {size}{mark}] ({node.id}) at {at} {{{inner}}};"


def _high(grid: Grid) -> float:
    return CELL * len(grid.cells) / 2 + 3


def _row(row: Row, figure: Figure) -> str:
    theme = figure.theme
    colour = {"detail": theme.grey, "missing": theme.grey, "alarm": theme.alarm}
    bold = r"\bfseries " if row.role == "name" else ""
    shown = rf"${row.latex}$" if row.latex else words(row.text) or "~"
    ink = rf"\color{{{colour_name(colour.get(row.role, theme.ink))}}}"
    text = f"{font(_points(row, figure))}{ink}{bold}{shown}"
    if not row.caption:
        return rf"\multicolumn{{2}}{{@{{}}l@{{}}}}{{{text}}}"
    small = font(theme.sizes["detail"]) + rf"\color{{{colour_name(theme.grey)}}}"
    return rf"{{{small}{words(row.caption)}}} & {{{text}}}"
