"""A graph as a drawing in which every node and edge can be clicked, coloured by a quantity."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree as ET

import gradtrace
from gradtrace.render.fold import fold
from gradtrace.render.parts import Figure
from gradtrace.render.pieces import Arrow, Box, folded_calls
from gradtrace.render.renderers import find_renderer
from gradtrace.render.style import figure
from gradtrace.summary import Summary
from gradtrace_dashboard.charts.scales import Scale
from gradtrace_dashboard.charts.theme import Theme, between, ink_on, palette

__all__ = ["COLOURINGS", "Diagram", "Layout", "around", "draw", "edge_id", "lay_out", "measure"]

SVG = "http://www.w3.org/2000/svg"
XLINK = "http://www.w3.org/1999/xlink"

COLOURINGS = ("kind", "upstream gradient", "gain", "value")
"""What the colour of a node may show."""

LEVELS = 64


@dataclass(frozen=True, eq=False)
class Layout:
    """A graph as it is drawn, with the text of its drawing, before it is coloured."""

    graph: gradtrace.Graph
    """The graph that is drawn: folded where the whole would not be readable."""
    figure: Figure
    boxes: Sequence[Box]
    arrows: Sequence[Arrow]
    svg: bytes


@dataclass(frozen=True)
class Diagram:
    """A coloured drawing with what its colours mean."""

    svg: str
    scale: Scale | None
    note: str | None


def lay_out(graph: gradtrace.Graph, *, depth: int | None, limit: int) -> Layout:
    """Return the layout of `graph`, folded at `depth`, of at most `limit` boxes."""
    drawn, drawing, _ = fold(graph, depth=depth, limit=limit)
    shown = figure(graph, depth=depth, limit_nodes=limit, legend=False)
    text = find_renderer("svg").render(shown, "svg")
    return Layout(drawn, shown, drawing.boxes, drawing.arrows, text)


def around(graph: gradtrace.Graph, scope: str) -> gradtrace.Graph:
    """Return what is in a scope, with the values that go in and come out."""
    inside = {
        node
        for node, where in graph.nodes(data="scope")
        if where == scope or str(where).startswith(f"{scope}.")
    }
    edges = [
        (tail, head, key, data)
        for tail, head, key, data in graph.edges(keys=True, data=True)
        if tail in inside or head in inside
    ]
    kept = inside.union(*({tail, head} for tail, head, _, _ in edges))
    nodes = [(node, data) for node, data in graph.nodes(data=True) if node in kept]
    return gradtrace.Graph.from_records(graph.graph, nodes, edges)


def edge_id(tail: str, head: str, key: object) -> str:
    """Return the name of an edge in an address.

    >>> edge_id("x", "y", 0)
    '["x", "y", 0]'
    """
    return json.dumps([tail, head, key], ensure_ascii=False)


def measure(data: Mapping[str, Any], quantity: str, incoming: Sequence[Any] = ()) -> float | None:
    """Return the number that colours a node; None where it was not computed."""
    if quantity == "gain":
        gains = [each["local_derivative"].gain for each in incoming if each["local_derivative"]]
        return max((gain for gain in gains if gain is not None), default=None)
    found = data.get("upstream_gradient" if quantity == "upstream gradient" else "value")
    parts = [each for each in (found if isinstance(found, tuple) else (found,)) if each is not None]
    norms = [each.norm for each in parts if isinstance(each, Summary)]
    known = [norm for norm in norms if norm is not None]
    return math.hypot(*known) if known else None


def draw(layout: Layout, *, quantity: str, theme: Theme) -> Diagram:
    """Return the drawing with its colours, and with what was clicked in its attributes."""
    ET.register_namespace("", SVG)
    ET.register_namespace("xlink", XLINK)
    root = ET.fromstring(layout.svg)
    numbers = _numbers(layout, quantity)
    known = [n for n in numbers.values() if n is not None]
    scale = Scale.of(known, log=True) if quantity != "kind" else None
    edges = _edges(layout)
    edge_scale = Scale.of([norm for norm, _ in edges if norm is not None], log=True)
    nodes, arrows = iter(range(len(layout.boxes))), iter(enumerate(layout.figure.edges))
    for group in root.iter(f"{{{SVG}}}g"):
        kind = group.get("class")
        if kind == "node":
            _node(group, next(nodes), layout, (numbers, scale), theme)
        elif kind == "edge":
            title = group.findtext(f"{{{SVG}}}title") or ""
            index = next(i for i, edge in arrows if edge.tooltip == title)
            _edge(group, edges[index], edge_scale, theme)
        elif kind == "label" and theme.dark:
            for text in group.iter(f"{{{SVG}}}text"):
                text.set("fill", theme.grey)
        elif kind == "frame":
            _frame(group, theme)
    return Diagram(ET.tostring(root, encoding="unicode"), scale, layout.figure.note)


def _numbers(layout: Layout, quantity: str) -> dict[str, float | None]:
    graph = layout.graph
    return {
        box.node: measure(
            box.data, quantity, [data for _, _, data in graph.in_edges(box.node, data=True)]
        )
        for box in layout.boxes
        if box.node is not None
    }


def _edges(layout: Layout) -> list[tuple[float | None, str | None]]:
    """Return norm and name of each arrow, in the order in which they are drawn."""
    return [(_norm(arrow), _name(layout, arrow)) for arrow in layout.arrows]


def _norm(arrow: Arrow) -> float | None:
    downstream = None if arrow.data is None else arrow.data["downstream_gradient"]
    return None if downstream is None else downstream.norm


def _name(layout: Layout, arrow: Arrow) -> str | None:
    """Return the name of the edge that an arrow is drawn from: the one with its attributes."""
    tail, head = layout.boxes[arrow.tail].node, layout.boxes[arrow.head].node
    if tail is None or head is None or arrow.data is None:
        return None
    for key, data in layout.graph.get_edge_data(tail, head).items():
        if data is arrow.data or data == arrow.data:
            return edge_id(tail, head, key)
    return None


def _node(
    group: ET.Element,
    index: int,
    layout: Layout,
    coloured: tuple[dict[str, float | None], Scale | None],
    theme: Theme,
) -> None:
    box, look = layout.boxes[index], layout.figure.nodes[index].look
    if box.node is None:
        return
    group.set("data-node", box.node)
    if folded_calls(box.data):
        group.set("data-fold", str(box.data["scope"]))
    numbers, scale = coloured
    fill = _fill(numbers[box.node], scale, look.fill, look.line, theme)
    light = fill == look.fill
    for shape in group.iter():
        if shape.tag.endswith(("polygon", "path")) and shape.get("fill") not in (None, "none"):
            shape.set("fill", fill)
        if shape.tag.endswith("text") and not light:
            plain = scale is None or fill == theme.absent
            shape.set("fill", theme.ink if plain and theme.dark else ink_on(fill))


def _fill(number: float | None, scale: Scale | None, fill: str, line: str, theme: Theme) -> str:
    if scale is None:
        return between([theme.paper, line], 0.24) if theme.dark else fill
    if number is None:
        return theme.absent
    if math.isnan(number):
        return theme.nan
    if math.isinf(number):
        return theme.infinite
    if number == 0:
        return theme.zero
    place = scale.place(number) or 0.0
    return palette("cividis", LEVELS)[round(min(1.0, max(0.0, place)) * (LEVELS - 1))]


def _edge(
    group: ET.Element, known: tuple[float | None, str | None], scale: Scale, theme: Theme
) -> None:
    norm, edge = known
    if edge is not None:
        group.set("data-edge", edge)
    place = None if norm is None else scale.place(norm)
    if not theme.dark or place is None:
        return
    colour = between(["#566274", "#A59C74", "#FEE838"], place)
    for shape in group.iter(f"{{{SVG}}}path"):
        shape.set("stroke" if shape.get("fill") == "none" else "fill", colour)


def _frame(group: ET.Element, theme: Theme) -> None:
    if not theme.dark:
        return
    for shape in group.iter(f"{{{SVG}}}path"):
        shape.set("fill", {"#F6F8FA": "#161B22"}.get(shape.get("fill", ""), "#1C232C"))
        shape.set("stroke", theme.grid)
    for text in group.iter(f"{{{SVG}}}text"):
        text.set("fill", theme.grey)
