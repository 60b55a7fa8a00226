"""What is drawn of a figure that is laid out: frames, arrows, boxes, labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property

from gradtrace.render.parts import Cluster, Figure, FigureNode
from gradtrace_graphviz.arrows import arrow, half_head
from gradtrace_graphviz.clutter import Clutter, places
from gradtrace_graphviz.content import Content
from gradtrace_graphviz.ranks import runs_aside
from gradtrace_graphviz.scene import Area, Group, Part, Point, Shape, around, box
from gradtrace_graphviz.sheet import PILE
from gradtrace_graphviz.skeleton import Placed

__all__ = ["Ink"]

SLACK = 1.5
"""Room above and below the letters of a label, which may overlap with other things."""

FADED = 0.35

Arrow = tuple[tuple[Part, ...], tuple[Point, ...]]


class Ink:
    """Draws one figure."""

    def __init__(
        self,
        figure: Figure,
        placed: Placed,
        boxes: Mapping[str, Content],
        labels: Mapping[int, Content],
        titles: Mapping[str, Content],
    ) -> None:
        self.figure, self.theme = figure, figure.theme
        self.placed, self.boxes, self.labels, self.titles = placed, boxes, labels, titles

    def groups(self) -> Iterator[Group]:
        """Yield frames, then arrows, then boxes, then what stands at the arrows."""
        depths: dict[str | None, int] = {None: -1}
        for cluster in self.figure.clusters:
            depths[cluster.id] = depths[cluster.parent] + 1
            if cluster.id in self.placed.frames:
                yield self.frame(cluster, depths[cluster.id])
        for index, (parts, _) in self.arrows.items():
            edge = self.figure.edges[index]
            yield Group("edge", parts, edge.tooltip, _opacity(edge.emphasis))
        for node in self.figure.nodes:
            yield self.box(node)
        yield from self.notes()

    @cached_property
    def arrows(self) -> dict[int, Arrow]:
        """The parts of each arrow, and the places that it passes."""
        found: dict[int, Arrow] = {}
        for index, edge in enumerate(self.figure.edges):
            points = self.placed.edges.get(index)
            beside = points is None
            points = self.placed.edges.get(index - 1) if beside else points
            if points:
                found[index] = arrow(edge, points, self.theme, beside=beside)
        return found

    @cached_property
    def clutter(self) -> Clutter:
        """Boxes and arrows, which titles and labels should not cover."""
        clutter = Clutter()
        for node in self.figure.nodes:
            clutter.add(self.area(node), 10.0)
        for index, (_, way) in self.arrows.items():
            thick = 1 + self.figure.edges[index].width
            for place in way:
                clutter.add(around(place, (thick, thick)), 1.0)
        return clutter

    @cached_property
    def headings(self) -> dict[str, Area]:
        """Where the titles of frames stand: to the left, or to the right of the arrows there."""
        found = {}
        for name, (left, top, right, _) in self.placed.frames.items():
            wide, high = self.titles[name].size
            corners = (left + 6, right - 6 - PILE - wide)
            areas = [(x, top + 2, x + wide, top + 2 + high) for x in corners]
            found[name] = self.clutter.best(areas)
        for name, (left, top, right, low) in self.placed.frames.items():
            self.clutter.add(found[name], 4.0)
            for y in (top, low - PILE, low):
                self.clutter.add((left, y - 0.5, right, y + 0.5), 2.0)
            for x in (left, right):
                self.clutter.add((x - 0.5, top, x + 0.5, low), 2.0)
        return found

    def notes(self) -> Iterator[Group]:
        """Yield what stands at the arrows, each where it covers least of all else."""
        assert self.headings is not None
        for index, label in sorted(self.labels.items(), key=lambda e: e[0] not in self.fixed):
            if index not in self.arrows:
                continue
            edge = self.figure.edges[index]
            near = places(self.arrows[index][1], label.size, 0.5 + half_head(edge.width))
            if index in self.fixed:
                first = around(self.fixed[index], label.size)
                near = [first, *near] if runs_aside(edge) else [first]
            area = self.clutter.best(near, slack=SLACK)
            self.clutter.add(area, 5.0)
            yield Group("label", label.at(*area[:2]), edge.tooltip, _opacity(edge.emphasis))

    @property
    def fixed(self) -> Mapping[int, Point]:
        """The centres of labels for which there is room."""
        return self.placed.labels

    def area(self, node: FigureNode) -> Area:
        return around(self.placed.nodes[node.id], self.boxes[node.id].size)

    def frame(self, cluster: Cluster, depth: int) -> Group:
        """Return a frame; one of repetitions lies on a second one, as cards on a pile."""
        theme, repeated = self.theme, cluster.repeats > 1
        left, top, right, low = self.placed.frames[cluster.id]
        fill = theme.frames[depth % len(theme.frames)]
        colour, width = (theme.grey, 1.0) if repeated else (theme.frame, 0.6)
        under = PILE if repeated else 0.0
        wide, high = right - left - under, low - top - under
        shapes: list[Part] = [
            Shape(box(left + step, top + step, wide, high, 4), fill, colour, width)
            for step in ((under, 0.0) if repeated else (0.0,))
        ]
        x, y, _, _ = self.headings[cluster.id]
        return Group("frame", (*shapes, *self.titles[cluster.id].at(x, y)), cluster.tooltip)

    def box(self, node: FigureNode) -> Group:
        """Return a box with what stands in it."""
        inside = self.boxes[node.id]
        left, top, _, _ = self.area(node)
        look, lit = node.look, node.emphasis == "highlighted"
        colour = self.theme.accent if lit else look.line
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
