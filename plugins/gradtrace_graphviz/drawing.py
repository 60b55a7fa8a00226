"""A figure as a drawing: everything in its place, on a page of its size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from gradtrace.errors import PageError
from gradtrace.render.parts import Cluster, Figure, FigureEdge, FigureNode
from gradtrace_graphviz.arrows import HEAD, Area, along, arrow, beside_curve
from gradtrace_graphviz.content import Content, content, image, phrase, stacked
from gradtrace_graphviz.paper import GAPS, Paper
from gradtrace_graphviz.ranks import Ranks
from gradtrace_graphviz.scene import Group, Page, Shape, Text, box
from gradtrace_graphviz.skeleton import Placed, place

__all__ = ["drawing"]

FLAT, NARROW = 0.8, 0.45
"""Shares of a page's width that the content of a box may fill, the wider one preferred."""

FADED = 0.35


def drawing(figure: Figure) -> Page:
    """Return the drawing of `figure`.

    Raises `PageError` where it does not fit the page with text of `SMALLEST` points.
    """
    if figure.width is None:
        return _Draughtsman(figure).page()
    try:
        return _Draughtsman(figure, 72 * figure.width * FLAT).page()
    except PageError:
        return _Draughtsman(figure, 72 * figure.width * NARROW).page()


@dataclass
class _Draughtsman:
    """Draws one figure."""

    figure: Figure
    room: float | None = None
    """Width up to which things stand side by side in a box; without it, each has its line."""

    def page(self) -> Page:
        figure = self.figure
        compact = figure.width is not None
        contents = {node.id: content(node, figure.theme, room=self.room) for node in figure.nodes}
        paper = Paper(figure)
        paper.require_room({name: (each.width, each.height) for name, each in contents.items()})
        labels = {i: self.label(edge) for i, edge in enumerate(figure.edges)}
        labels = {i: label for i, label in labels.items() if label.parts}
        titles = {each.id: self.title(each) for each in figure.clusters}
        roomy = self.room_beside(labels) if compact else {}
        placed = place(
            figure,
            {name: (c.width + roomy.get(name, 0.0), c.height) for name, c in contents.items()},
            {
                i: (c.width + 6, c.height)
                for i, c in labels.items()
                if not compact or self.is_tall(i)
            },
            {name: (each.width, each.height) for name, each in titles.items()},
            gaps=GAPS if compact else (16.0, 20.0),
        )
        self.spread(placed, contents, roomy)
        groups = list(self.groups(placed, contents, labels, titles))
        return paper.printed(groups)

    def is_tall(self, index: int) -> bool:
        """Tell whether the label of an arrow finds no room in the gap between two boxes."""
        edge = self.figure.edges[index]
        return bool(edge.latex or edge.grid)

    def room_beside(self, labels: dict[int, Content]) -> dict[str, float]:
        """Return how much room the label takes between a leaf and the call that it is beside."""
        if self.figure.direction in ("left", "right"):
            return {}
        edges = [edge for edge in self.figure.edges if edge.kind == "value"]
        beside = Ranks.of(replace(self.figure, edges=tuple(edges))).beside
        pairs = {(leaf, call) for call, leaves in beside.items() for leaf in leaves}
        return {
            edge.tail: labels[index].width + 4
            for index, edge in enumerate(self.figure.edges)
            if (edge.tail, edge.head) in pairs and index in labels
        }

    def spread(self, placed: Placed, contents: dict[str, Content], roomy: dict[str, float]) -> None:
        """Move each leaf with room beside it away from its call, and draw its arrow straight."""
        for index, edge in enumerate(self.figure.edges):
            (x, y), (to, level) = placed.nodes[edge.tail], placed.nodes[edge.head]
            if edge.tail not in roomy or abs(y - level) > 1:
                continue
            side = 1 if to > x else -1
            x -= side * roomy[edge.tail] / 2
            placed.nodes[edge.tail] = (x, y)
            start = x + side * contents[edge.tail].width / 2
            tip = to - side * contents[edge.head].width / 2
            end = tip - side * HEAD
            third = (end - start) / 3
            steps = [start, start + third, end - third, end, tip]
            placed.edges[index] = tuple((each, y) for each in steps)

    def label(self, edge: FigureEdge) -> Content:
        """Return what stands at an arrow."""
        theme = self.figure.theme
        lines = []
        if edge.label or edge.latex:
            size = theme.sizes["detail"]
            lines.append(phrase(edge.label, size=size, colour=theme.grey, latex=edge.latex))
        if edge.grid:
            lines.append(image(edge.grid, theme))
        return stacked(lines)

    def title(self, cluster: Cluster) -> Content:
        theme = self.figure.theme
        size, bold = theme.sizes["detail"] + 0.5, cluster.repeats > 1
        colour = theme.ink if bold else theme.grey
        return phrase(cluster.label, size=size, colour=colour, bold=bold)

    def groups(
        self,
        placed: Placed,
        contents: dict[str, Content],
        labels: dict[int, Content],
        titles: dict[str, Content],
    ) -> Iterator[Group]:
        """Yield frames, then arrows, then boxes, then what stands at the arrows."""
        depths: dict[str | None, int] = {None: -1}
        for cluster in self.figure.clusters:
            depths[cluster.id] = depths[cluster.parent] + 1
            if cluster.id in placed.frames:
                yield self.frame(cluster, depths[cluster.id], placed, titles[cluster.id])
        middles = {}
        for index, edge in enumerate(self.figure.edges):
            beside = index not in placed.edges
            points = placed.edges.get(index) or placed.edges.get(index - 1, ())
            if not points:
                continue
            parts, middles[index] = arrow(edge, points, self.figure.theme, beside=beside)
            yield Group("edge", parts, edge.tooltip, _opacity(edge.emphasis))
        for node in self.figure.nodes:
            yield self.box(node, placed, contents[node.id])
        taken = [self.area(node, placed, contents[node.id]) for node in self.figure.nodes]
        passed = {index: along(points) for index, points in placed.edges.items()}
        for index, label in labels.items():
            if index not in middles:
                continue
            edge = self.figure.edges[index]
            if index in placed.labels:
                x, y = placed.labels[index]
                x, y = x - label.width / 2, y - label.height / 2
            else:
                size = label.width, label.height
                others = [area for i, each in passed.items() if i != index for area in each]
                aside = 2 + edge.width / 2
                x, y = beside_curve(middles[index], size, [*taken, *others], aside=aside)
            taken.append((x, y, x + label.width, y + label.height))
            yield Group("label", label.at(x, y), edge.tooltip, _opacity(edge.emphasis))

    def area(self, node: FigureNode, placed: Placed, inside: Content) -> Area:
        """Return left, top, right and bottom of a box."""
        x, y = placed.nodes[node.id]
        wide, high = inside.width / 2, inside.height / 2
        return x - wide, y - high, x + wide, y + high

    def frame(self, cluster: Cluster, depth: int, placed: Placed, title: Content) -> Group:
        """Return a frame; one of repetitions lies on a second one, as cards on a pile."""
        theme = self.figure.theme
        left, top, right, low = placed.frames[cluster.id]
        fill = theme.frames[depth % len(theme.frames)]
        repeated = cluster.repeats > 1
        colour, width = (theme.grey, 1.0) if repeated else (theme.frame, 0.6)
        shapes: list[Shape | Text] = []
        for step in (3.0, 0.0) if repeated else (0.0,):
            path = box(left + step, top + step, right - left - step, low - top - step, 4)
            if not step:
                path = box(left, top, right - left - 3 * repeated, low - top - 3 * repeated, 4)
            shapes.append(Shape(path, fill, colour, width))
        return Group("frame", (*shapes, *title.at(left + 6, top + 2)), cluster.tooltip)

    def box(self, node: FigureNode, placed: Placed, inside: Content) -> Group:
        """Return a box with what stands in it."""
        left, top, _, _ = self.area(node, placed, inside)
        look, lit = node.look, node.emphasis == "highlighted"
        colour = self.figure.theme.accent if lit else look.line
        radius = 0.0 if look.shape == "rectangle" else 4.0
        path = box(left, top, inside.width, inside.height, radius)
        dash = (3.0, 2.0) if look.shape == "dashed" else ()
        shapes = [Shape(path, look.fill, colour, 2.0 if lit else 1.0, dash)]
        if look.shape == "double":
            inner = box(left + 2, top + 2, inside.width - 4, inside.height - 4, 2.5)
            shapes.append(Shape(inner, None, colour, 0.7))
        parts = (*shapes, *inside.at(left, top))
        return Group("node", parts, node.tooltip, _opacity(node.emphasis))


def _opacity(emphasis: str) -> float:
    return FADED if emphasis == "faded" else 1.0
