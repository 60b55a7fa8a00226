"""A figure as a drawing: everything in its place, on a page of its size."""

from __future__ import annotations

from gradtrace.errors import PageError
from gradtrace.render.parts import Cluster, Figure, FigureEdge
from gradtrace_graphviz.arrangement import arranged
from gradtrace_graphviz.content import Content, content, image, phrase, stacked
from gradtrace_graphviz.ink import Ink
from gradtrace_graphviz.paper import Paper, gaps
from gradtrace_graphviz.scene import Page
from gradtrace_graphviz.sheet import Sheet

__all__ = ["drawing"]

FLAT, NARROW = 0.8, 0.45
"""Shares of a page's width that the content of a box may fill, the wider one preferred."""


def drawing(figure: Figure) -> Page:
    """Return the drawing of `figure`.

    Raises `PageError` where it does not fit the page with text of `SMALLEST` points.
    """
    if figure.width is None:
        return _page(figure, None)
    try:
        return _page(figure, 72 * figure.width * FLAT)
    except PageError:
        return _page(figure, 72 * figure.width * NARROW)


def _page(figure: Figure, room: float | None) -> Page:
    """Return the drawing; things stand side by side in a box up to `room`, if there is any."""
    boxes = {node.id: content(node, figure.theme, room=room) for node in figure.nodes}
    paper = Paper(figure)
    paper.require_room({name: each.size for name, each in boxes.items()})
    labels = {i: _label(edge, figure) for i, edge in enumerate(figure.edges)}
    labels = {i: label for i, label in labels.items() if label.parts}
    titles = {each.id: _title(each, figure) for each in figure.clusters}
    sheet = Sheet(
        figure,
        {name: each.size for name, each in boxes.items()},
        {index: each.size for index, each in labels.items()},
        {name: each.size for name, each in titles.items()},
    )
    tall = (index for index in labels if figure.edges[index].latex or figure.edges[index].grid)
    placed = arranged(sheet, gaps=gaps(figure), tall=tall)
    return paper.printed(list(Ink(figure, placed, boxes, labels, titles).groups()))


def _label(edge: FigureEdge, figure: Figure) -> Content:
    """Return what stands at an arrow."""
    theme = figure.theme
    lines = []
    if edge.label or edge.latex:
        size = theme.sizes["detail"]
        lines.append(phrase(edge.label, size=size, colour=theme.grey, latex=edge.latex))
    if edge.grid:
        lines.append(image(edge.grid, theme))
    return stacked(lines)


def _title(cluster: Cluster, figure: Figure) -> Content:
    """Return the name of a frame."""
    theme = figure.theme
    size, bold = theme.sizes["detail"] + 0.5, cluster.repeats > 1
    colour = theme.ink if bold else theme.grey
    return phrase(cluster.label, size=size, colour=colour, bold=bold)
