"""Places for the boxes of a figure: layer by layer along the flow, leaves beside their call."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from gradtrace.render.layering import Cell, order, place
from gradtrace.render.parts import Figure, FigureEdge

__all__ = ["Layout", "Spot", "lay_out"]

ALONG = 24.0
"""Room between boxes one below the other, in points."""

ASIDE = (34.0, 190.0)
"""Least and most room between a call and a leaf beside it, for the label of the arrow."""

LETTER = 3.6
"""About the width of a character of a label, in points."""

BORDER, HEADER = 7.0, 11.0
"""Room between a frame and what is in it, and for its label."""

LANE = 10.0
BESIDE = 2
"""Leaves that stand beside their call; more stand above it."""

Sizes = Mapping[str, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Spot:
    """A rectangle by its centre."""

    x: float
    y: float
    width: float
    height: float

    def around(self, other: Spot, border: float, header: float) -> Spot:
        """Return the rectangle around both, with a border, and room for a label at the top."""
        left = min(self.x - self.width / 2, other.x - other.width / 2 - border)
        right = max(self.x + self.width / 2, other.x + other.width / 2 + border)
        top = min(self.y - self.height / 2, other.y - other.height / 2 - border - header)
        bottom = max(self.y + self.height / 2, other.y + other.height / 2 + border)
        return Spot((left + right) / 2, (top + bottom) / 2, right - left, bottom - top)


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things are; y grows downward."""

    nodes: dict[str, Spot]
    frames: dict[str, Spot]
    lanes: tuple[tuple[tuple[float, float], ...], ...]
    """Points that each edge passes on its way: where it enters and leaves other layers."""
    beside: dict[str, str]
    """Leaves that stand beside their call, with the side: `left` or `right`."""


def lay_out(figure: Figure, sizes: Sizes) -> Layout:
    """Return the layout of `figure`, whose boxes have these widths and heights.

    Edges that run against the flow (`gradient`, `carried`) have no say in it, and no lanes; skips
    have none where there is room for them to the right of the boxes.
    """
    sideways = figure.direction in ("right", "left")
    turned = {node: size[::-1] if sideways else size for node, size in sizes.items()}
    layout = _turned(_Layers(figure, turned).layout(), figure.direction)
    return replace(layout, frames=_frames(figure, layout.nodes))


class _Layers:
    """The layers of a figure whose values flow down."""

    def __init__(self, figure: Figure, sizes: Sizes) -> None:
        self.figure, self.sizes = figure, sizes
        self.parent = {cluster.id: cluster.parent for cluster in figure.clusters}
        self.forward = [(at, e) for at, e in enumerate(figure.edges) if e.kind in ("value", "skip")]
        self.through = {"value", *(["skip"] if figure.direction in ("right", "left") else [])}
        self.room = {edge.tail: _room(edge) for _, edge in self.forward}
        self.beside = self.leaves_beside()
        self.cells: dict[str, Cell] = {}
        self.lanes: dict[int, list[Cell]] = {}

    def leaves_beside(self) -> dict[str, list[str]]:
        """Return the leaves with one use, by the call that they stand beside."""
        frame = {node.id: node.cluster for node in self.figure.nodes}
        heads = {edge.head for _, edge in self.forward}
        uses: dict[str, list[str]] = defaultdict(list)
        for _, edge in self.forward:
            uses[edge.tail].append(edge.head)
        found: dict[str, list[str]] = defaultdict(list)
        for leaf, users in uses.items():
            own = leaf not in heads and len(users) == 1 and frame[leaf] == frame[users[0]]
            if own and self.room[leaf] <= ASIDE[1] and len(found[users[0]]) < BESIDE:
                found[users[0]].append(leaf)
        operands: dict[str, set[str]] = defaultdict(set)
        for _, edge in self.forward:
            operands[edge.head].add(edge.tail)
        return {
            call: leaves if len(leaves) < len(operands[call]) else leaves[1:]
            for call, leaves in found.items()
        }

    def layout(self) -> Layout:
        aside = {leaf for leaves in self.beside.values() for leaf in leaves}
        calls = [node.id for node in self.figure.nodes if node.id not in aside]
        ranks = self.ranks(calls)
        for node in calls:
            self.cells[node] = self.cell(node, ranks[node])
        for at, edge in self.forward:
            if edge.tail not in aside:
                self.join(at, edge.tail, edge.head, lanes=edge.kind in self.through)
        layers: list[list[Cell]] = [[] for _ in range(max(ranks.values(), default=-1) + 1)]
        for cell in [*self.cells.values(), *(c for cells in self.lanes.values() for c in cells)]:
            layers[cell.rank].append(cell)
        order(layers)
        place(layers)
        return self.result(self.heights(layers))

    def ranks(self, calls: Sequence[str]) -> dict[str, int]:
        """Return the layer of each box: below its operands, and just above its first use."""
        tails: dict[str, list[str]] = defaultdict(list)
        heads: dict[str, list[str]] = defaultdict(list)
        known = set(calls)
        for _, edge in self.forward:
            if edge.tail in known and edge.head in known:
                tails[edge.head].append(edge.tail)
                heads[edge.tail].append(edge.head)
        ranks: dict[str, int] = {}
        for node in calls:
            ranks[node] = 1 + max((ranks.get(tail, -1) for tail in tails[node]), default=-1)
        for node in reversed(calls):
            if not tails[node] and heads[node]:
                ranks[node] = min(ranks[head] for head in heads[node]) - 1
        least = min(ranks.values(), default=0)
        return {node: rank - least for node, rank in ranks.items()}

    def cell(self, node: str, rank: int) -> Cell:
        width, height = self.sizes[node]
        left = right = width / 2
        leaves = self.beside.get(node, [])
        for index, leaf in enumerate(leaves):
            extent = self.room[leaf] + self.sizes[leaf][0]
            left, right = (left, right + extent) if index else (left + extent, right)
        thickness = max([height, *(self.sizes[leaf][1] for leaf in leaves)])
        return Cell(rank, left, right, thickness, self.frames_of(node))

    def frames_of(self, node: str) -> tuple[str, ...]:
        """Return the frames around a box, outermost first."""
        frame = next(each.cluster for each in self.figure.nodes if each.id == node)
        path: list[str] = []
        while frame is not None:
            path.append(frame)
            frame = self.parent[frame]
        return tuple(reversed(path))

    def join(self, at: int, tail: str, head: str, *, lanes: bool) -> None:
        """Link two cells, through a lane in each layer between."""
        last, end = self.cells[tail], self.cells[head]
        path = tuple(one for one, other in zip(last.path, end.path, strict=False) if one == other)
        for rank in range(last.rank + 1, end.rank) if lanes else ():
            lane = Cell(rank, LANE / 2, LANE / 2, path=path)
            last.below.append(lane)
            lane.above.append(last)
            self.lanes.setdefault(at, []).append(lane)
            last = lane
        last.below.append(end)
        end.above.append(last)

    def heights(self, layers: Sequence[Sequence[Cell]]) -> list[tuple[float, float]]:
        """Return where each layer begins and ends, with room for frames that do so there."""
        spans: dict[str, tuple[int, int]] = {}
        for cell in self.cells.values():
            for frame in cell.path:
                first, last = spans.get(frame, (cell.rank, cell.rank))
                spans[frame] = min(first, cell.rank), max(last, cell.rank)
        found: list[tuple[float, float]] = []
        y = 0.0
        for rank, layer in enumerate(layers):
            begin = max((sum(spans[f][0] == rank for f in c.path) for c in layer), default=0)
            end = max((sum(spans[f][1] == rank for f in c.path) for c in layer), default=0)
            thickness = max((cell.thickness for cell in layer), default=0.0)
            y += begin * (BORDER + HEADER)
            found.append((y, y + thickness))
            y += thickness + end * BORDER + ALONG
        return found

    def result(self, heights: Sequence[tuple[float, float]]) -> Layout:
        centres = [(begin + end) / 2 for begin, end in heights]
        nodes: dict[str, Spot] = {}
        sides: dict[str, str] = {}
        for node, cell in self.cells.items():
            width, height = self.sizes[node]
            nodes[node] = Spot(cell.x, centres[cell.rank], width, height)
            for leaf, side in zip(self.beside.get(node, []), ("left", "right"), strict=False):
                wide, high = self.sizes[leaf]
                shift = (width / 2 + self.room[leaf] + wide / 2) * (-1 if side == "left" else 1)
                nodes[leaf] = Spot(cell.x + shift, centres[cell.rank], wide, high)
                sides[leaf] = side
        lanes = tuple(
            tuple((lane.x, y) for lane in self.lanes.get(at, []) for y in heights[lane.rank])
            for at in range(len(self.figure.edges))
        )
        return Layout(nodes, {}, lanes, sides)


def _room(edge: FigureEdge) -> float:
    """Return how long an arrow from the side must be for its label."""
    image = 4 * len(edge.grid.cells[0]) if edge.grid else 0
    return max(ASIDE[0], LETTER * len(edge.label) + image + 10)


def _frames(figure: Figure, nodes: Mapping[str, Spot]) -> dict[str, Spot]:
    """Return the rectangles of frames, each around those in it."""
    found: dict[str, Spot] = {}
    inside: dict[str, list[Spot]] = defaultdict(list)
    for node in figure.nodes:
        if node.cluster is not None:
            inside[node.cluster].append(nodes[node.id])
    for cluster in reversed(figure.clusters):
        spots = inside[cluster.id]
        around = Spot(spots[0].x, spots[0].y, 0, 0)
        for spot in spots:
            around = around.around(spot, BORDER, HEADER)
        found[cluster.id] = around
        if cluster.parent is not None:
            inside[cluster.parent].append(around)
    return found


def _turned(layout: Layout, direction: str) -> Layout:
    """Return a layout whose values flow down for those that flow elsewhere."""
    if direction == "down":
        return layout
    sideways = direction in ("right", "left")
    sign = -1 if direction in ("up", "left") else 1

    def point(x: float, y: float) -> tuple[float, float]:
        return (sign * y, x) if sideways else (x, sign * y)

    def spot(each: Spot) -> Spot:
        x, y = point(each.x, each.y)
        size = (each.height, each.width) if sideways else (each.width, each.height)
        return Spot(x, y, *size)

    return replace(
        layout,
        nodes={name: spot(each) for name, each in layout.nodes.items()},
        lanes=tuple(tuple(point(*each) for each in lane) for lane in layout.lanes),
    )
