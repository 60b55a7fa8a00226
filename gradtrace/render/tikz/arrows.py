"""Arrows in TikZ."""

from __future__ import annotations

from collections.abc import Iterator

from gradtrace.render.latex import words
from gradtrace.render.layout import Layout
from gradtrace.render.parts import Figure, FigureEdge
from gradtrace.render.tikz.signs import colour_name, font, image

__all__ = ["arrows"]

Lanes = tuple[tuple[float, float], ...]

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


def arrows(figure: Figure, layout: Layout) -> Iterator[str]:
    """Yield the arrows, each on its way through the layout."""
    for edge, lanes in zip(figure.edges, layout.lanes, strict=True):
        yield _edge(edge, lanes, figure, layout)


def _edge(edge: FigureEdge, lanes: Lanes, figure: Figure, layout: Layout) -> str:
    style = [colour_name(edge.colour), f"line width={edge.width:g}pt", "tip"]
    style += [] if edge.line == "solid" else [edge.line]
    style += ["opacity=0.3"] if edge.emphasis == "faded" else []
    if edge.emphasis == "highlighted":
        style[0] = colour_name(figure.theme.accent)
    label = _label(edge, figure, beside=edge.tail in layout.beside)
    return rf"\draw[{', '.join(style)}] {_way(edge, lanes, figure, layout, label)};"


def _way(edge: FigureEdge, lanes: Lanes, figure: Figure, layout: Layout, label: str) -> str:
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
    if not edge.label and not edge.grid:
        return ""
    shown = f"${edge.latex}$" if edge.latex else words(edge.label)
    size = font(figure.theme.sizes["detail"] - 0.5)
    across = beside != (figure.direction in ("right", "left"))
    side = "above=0.5pt" if across else "right=1.5pt"
    jacobian = f"~{image(edge.grid)}" if edge.grid else ""
    grey = colour_name(figure.theme.grey)
    return rf"node[{side}, midway, text={grey}] {{{size}{shown}{jacobian}}} "
