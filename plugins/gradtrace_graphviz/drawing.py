"""A figure as a drawing: everything in its place, on a page of its size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gradtrace.errors import PageError
from gradtrace.render.parts import Cluster, Figure, FigureEdge, FigureNode
from gradtrace_graphviz.arrows import Area, arrow, beside_curve
from gradtrace_graphviz.content import Content, content, image, phrase, stacked
from gradtrace_graphviz.key import key
from gradtrace_graphviz.scene import Group, Page, Shape, Text, box, moved, reach
from gradtrace_graphviz.skeleton import Placed, place

__all__ = ["drawing"]

MARGIN = 3.0
"""Room around a drawing, in points."""

SMALLEST = 6.0
"""Size of the smallest text on a page, in points."""

LARGEST = 1.15
"""How much larger than its theme says a figure is printed at most."""

HIGHEST = 9.0
"""Height of a page in inches, where its width is given."""

LEGEND = 0.9
"""Inches of the page's height that are left to title and legend."""

NARROWEST = 230.0
"""Width, in points, that a legend fills at least."""

FADED = 0.35


def drawing(figure: Figure) -> Page:
    """Return the drawing of `figure`.

    Raises `PageError` where it does not fit the page with text of `SMALLEST` points.
    """
    return _Draughtsman(figure).page()


@dataclass
class _Draughtsman:
    """Draws one figure."""

    figure: Figure

    def page(self) -> Page:
        figure = self.figure
        compact = figure.width is not None
        contents = {node.id: content(node, figure.theme, compact=compact) for node in figure.nodes}
        labels = {i: self.label(edge) for i, edge in enumerate(figure.edges)}
        labels = {i: label for i, label in labels.items() if label.parts}
        titles = {each.id: self.title(each) for each in figure.clusters}
        placed = place(
            figure,
            {name: (each.width, each.height) for name, each in contents.items()},
            {} if compact else {i: (each.width + 6, each.height) for i, each in labels.items()},
            {name: (each.width, each.height) for name, each in titles.items()},
            gaps=(9.0, 12.0) if compact else (16.0, 20.0),
        )
        groups = list(self.groups(placed, contents, labels, titles))
        return self.printed(groups, placed)

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
        for index, label in labels.items():
            if index not in middles:
                continue
            edge = self.figure.edges[index]
            if index in placed.labels:
                x, y = placed.labels[index]
                x, y = x - label.width / 2, y - label.height / 2
            else:
                x, y = beside_curve(middles[index], label.width, label.height, taken)
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

    def printed(self, groups: list[Group], placed: Placed) -> Page:
        """Return the page: the title above, the drawing, the legend below."""
        figure, theme = self.figure, self.figure.theme
        parts = [part for group in groups for part in group.parts]
        left, top, right, low = reach(parts) if parts else (0.0, 0.0, 1.0, 1.0)
        wide = max(right - left, 1.0)
        scale = self.scale(wide, low - top)
        room = max(wide, NARROWEST) if figure.width is None else 72 * figure.width / scale
        room -= 2 * MARGIN if figure.width is not None else 0.0
        head = self.head(room)
        foot = key(figure, room)
        wide = max(wide, head.width, foot.width)
        page = wide + 2 * MARGIN if figure.width is None else 72 * figure.width / scale
        y = MARGIN + head.height + (4 if head.parts else 0)
        dx, dy = (page - (right - left)) / 2 - left, y - top
        shifted = [
            Group(g.kind, tuple(moved(p, dx, dy) for p in g.parts), g.tooltip, g.opacity)
            for g in groups
        ]
        y += low - top + (6 if foot.parts else 0)
        shifted.append(Group("title", head.at(MARGIN, MARGIN)))
        shifted.append(Group("legend", foot.at(MARGIN, y)))
        high = y + foot.height + MARGIN
        if figure.width is not None and high * scale > 72 * HIGHEST:
            raise self.too_large(f"is {high * scale / 72:.1f} inches high, of {HIGHEST:g}")
        title = figure.title or "gradtrace"
        return Page(page, high, scale, tuple(shifted), theme.background, title)

    def head(self, room: float) -> Content:
        theme, title = self.figure.theme, self.figure.title
        if not title:
            return Content(0.0, 0.0, ())
        size = theme.sizes["title"]
        whole = phrase(title, size=size, colour=theme.ink, bold=True)
        if whole.width <= room or self.figure.width is None:
            return whole
        return phrase(title, size=size * room / whole.width, colour=theme.ink, bold=True)

    def scale(self, wide: float, high: float) -> float:
        """Return how much larger or smaller than drawn the figure is printed."""
        if self.figure.width is None:
            return 1.0
        scale = min(LARGEST, (72 * self.figure.width - 2 * MARGIN) / (wide + 1))
        least = min(self.figure.theme.sizes.values())
        if scale * least >= SMALLEST:
            scale = max(SMALLEST / least, min(scale, 72 * (HIGHEST - LEGEND) / high))
        if scale * least < SMALLEST:
            needed = (wide + 2 * MARGIN) * SMALLEST / least / 72
            raise self.too_large(f"is {needed:.1f} inches wide, of {self.figure.width:g}")
        return scale

    def too_large(self, how: str) -> PageError:
        return PageError(
            f"with text of {SMALLEST:g} points the figure {how}; draw less of the graph with "
            "depth=, focus=, show= or a smaller limit_nodes=, or choose a larger width="
        )


def _opacity(emphasis: str) -> float:
    return FADED if emphasis == "faded" else 1.0
