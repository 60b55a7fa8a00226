"""Which boxes a graph is drawn as, with the arrows between them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import networkx as nx

from gradtrace.render.pieces import LEAVES, Arrow, Box, Drawing, folded_calls, place_of
from gradtrace.render.scopes import Place

__all__ = ["CROWD", "PARALLEL", "calls_of", "draw_boxes"]


NEAR = 8
"""Calls between the uses of a leaf up to which it is drawn once, not once per use.

An arrow that passes many calls costs the layout more time than all boxes together.
"""

CROWD = 16
"""Leaves drawn at one call before the rest of them is summed up in one box, unless told."""


FEW = 2
"""Leaves drawn at a folded call; more are only counted, for they are what folding hides."""


PARALLEL = 3
"""Uses of one value by one call, or fold, that are drawn as an arrow each, unless told."""


def calls_of(graph: nx.MultiDiGraph[str]) -> list[str]:
    """Return the nodes that are no leaves, operands before results, else in order."""
    order: dict[str, int] = {node: data["order"] for node, data in graph.nodes(data=True)}
    kind: dict[str, str] = {node: data["kind"] for node, data in graph.nodes(data=True)}
    calls = sorted((node for node in graph if kind[node] not in LEAVES), key=order.__getitem__)
    if all(order[tail] < order[head] for tail, head in graph.edges() if kind[tail] not in LEAVES):
        return calls
    sort = nx.lexicographical_topological_sort(graph, key=order.__getitem__)
    return [node for node in sort if kind[node] not in LEAVES]


def draw_boxes(
    graph: nx.MultiDiGraph[str],
    *,
    ends: int | None = None,
    crowd: int = CROWD,
    parallel: int = PARALLEL,
) -> Drawing:
    """Return the boxes of `graph`; only of the first and the last `ends` calls if told."""
    calls = calls_of(graph)
    artist = _Artist(graph, calls, crowd, parallel)
    if ends is None or 2 * ends >= len(calls):
        artist.draw(calls)
        artist.draw_unused()
        artist.draw_carried()
        return artist.drawing
    omitted = calls[ends : len(calls) - ends]
    artist.omit(omitted)
    artist.draw(calls[:ends])
    artist.draw_omission(f"… {len(omitted):,} calls not drawn …")
    artist.draw(calls[len(calls) - ends :])
    return artist.drawing


@dataclass(frozen=True, slots=True)
class _Spread:
    """How the calls that use a leaf lie."""

    near: bool
    uses: int
    omitted: int


class _Artist:
    """Adds boxes in an order in which operands come before results."""

    def __init__(
        self, graph: nx.MultiDiGraph[str], calls: Sequence[str], crowd: int, parallel: int
    ) -> None:
        self.graph = graph
        self.crowd, self.parallel = crowd, parallel
        self.drawing = Drawing()
        self.position = {node: index for index, node in enumerate(calls)}
        self.number: dict[str, int] = {}
        self.uses: dict[str, int] = defaultdict(int)
        self.omitted: frozenset[str] = frozenset()
        self.omission: int | None = None
        self.spreads: dict[str, _Spread] = {}

    def omit(self, nodes: Sequence[str]) -> None:
        """Leave out these calls."""
        self.omitted = frozenset(nodes)

    def draw(self, calls: Sequence[str]) -> None:
        """Draw these calls, each after its leaves."""
        for node in calls:
            self.draw_call(node)

    def draw_call(self, node: str) -> None:
        data = self.graph.nodes[node]
        tails: dict[str, int] = {}
        arrows: list[tuple[int, Mapping[str, Any] | None]] = []
        crowd: set[str] = set()
        for operand, edge in self.edges_into(node):
            if operand in self.omitted:
                continue
            if self.is_leaf(operand) and operand not in tails:
                if self.has_no_room(operand, node, len(tails)):
                    crowd.add(operand)
                    continue
                tails[operand] = self.leaf(operand, node)
            arrows.append((tails[operand] if operand in tails else self.number[operand], edge))
        folded = folded_calls(data)
        place = self.place(node)
        if crowd and not folded:
            text = f"… {len(crowd):,} leaves not drawn …"
            arrows.append((self.add(Box(None, {}, place, text=text)), None))
        if self.omission is not None and self.touches_omitted(node):
            arrows.append((self.omission, None))
        hidden = len(crowd) if folded else 0
        self.number[node] = self.add(Box(node, data, place, hidden=hidden))
        self.drawing.arrows += _bundled(arrows, self.number[node], self.parallel)

    def place(self, node: str) -> Place:
        """Return where a call belongs, or an item: where the call belongs whose result it is of."""
        own = place_of(self.graph.nodes[node])
        if self.graph.nodes[node]["kind"] != "item":
            return own
        call = next(iter(self.graph.predecessors(node)), node)
        return place_of(self.graph.nodes[call])._replace(run=own.run)

    def has_no_room(self, leaf: str, call: str, drawn: int) -> bool:
        """Tell whether a leaf is only counted: one of a crowd, or of the many of a fold."""
        if not folded_calls(self.graph.nodes[call]):
            return drawn >= self.crowd
        if self.graph.nodes[leaf]["kind"] == "input":
            return False
        tails = {tail for tail in self.graph.predecessors(call) if self.is_leaf(tail)}
        return len(tails) > FEW

    def draw_omission(self, text: str) -> None:
        """Draw the stand-in for the calls that are left out, below the operands they take."""
        tails = [
            number
            for node, number in self.number.items()
            if not self.is_leaf(node) and not self.omitted.isdisjoint(self.graph.successors(node))
        ]
        self.drawing.cut = True
        self.omission = self.add(Box(None, {}, Place(), text=text))
        self.drawing.arrows += [Arrow(tail, self.omission, None) for tail in tails]

    def draw_unused(self) -> None:
        """Draw the leaves that no call uses."""
        for node, data in self.graph.nodes(data=True):
            if self.is_leaf(node) and not self.graph.out_degree(node):
                self.add(Box(node, data, Place()))

    def draw_carried(self) -> None:
        """Draw what the steps of a recurrence hand on."""
        runs = {data["run"]: None for _, data in self.graph.nodes(data=True) if "run" in data}
        self.drawing.arrows += [
            Arrow(self.number[each.tail], self.number[each.head], each.data, carried=True)
            for run in runs
            for each in run.carried
        ]

    def edges_into(self, node: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield the operands of `node` with their edges, by the index of the operand."""
        edges = sorted(self.graph.in_edges(node, keys=True, data=True), key=lambda e: str(e[2]))
        edges.sort(key=lambda edge: edge[2] if isinstance(edge[2], int) else -1)
        yield from ((operand, data) for operand, _, _, data in edges)

    def is_leaf(self, node: str) -> bool:
        return self.graph.nodes[node]["kind"] in LEAVES

    def touches_omitted(self, node: str) -> bool:
        return not self.omitted.isdisjoint(self.graph.predecessors(node))

    def leaf(self, node: str, call: str) -> int:
        """Return the box of a leaf at its use by `call`."""
        data, spread = self.graph.nodes[node], self.spread_of(node)
        if spread.near:
            if node not in self.number:
                place = self.leaf_place(node, call) if spread.uses == 1 else Place()
                self.number[node] = self.add(Box(node, data, place))
            return self.number[node]
        self.uses[node] += 1
        before = 0 if self.omission is None else spread.omitted
        use = (self.uses[node] + before, spread.uses)
        return self.add(Box(node, data, self.leaf_place(node, call), use))

    def spread_of(self, leaf: str) -> _Spread:
        """Return how the uses of a leaf lie among the calls."""
        if leaf not in self.spreads:
            users = list(self.graph.successors(leaf))
            positions = [self.position[user] for user in users]
            near = max(positions) - min(positions) <= NEAR
            omitted = sum(user in self.omitted for user in users)
            self.spreads[leaf] = _Spread(near, len(users), omitted)
        return self.spreads[leaf]

    def leaf_place(self, node: str, call: str) -> Place:
        """Return where a leaf belongs at one use: an input outside, others at their call."""
        data = self.graph.nodes[node]
        outside = data["kind"] == "input" and "run" not in data
        return Place() if outside else place_of(self.graph.nodes[call])

    def add(self, box: Box) -> int:
        self.drawing.boxes.append(box)
        return len(self.drawing.boxes) - 1


def _bundled(
    edges: Sequence[tuple[int, Mapping[str, Any] | None]], head: int, most: int
) -> Iterator[Arrow]:
    """Yield an arrow for each edge, given by its tail; one for all if more than `most` run so."""
    parallel: dict[int, list[Mapping[str, Any] | None]] = defaultdict(list)
    for tail, data in edges:
        parallel[tail].append(data)
    for tail, bundle in parallel.items():
        if len(bundle) > most:
            yield Arrow(tail, head, max(bundle, key=_magnitude), len(bundle))
        else:
            yield from (Arrow(tail, head, data) for data in bundle)


def _magnitude(data: Mapping[str, Any] | None) -> float:
    """Return the size of an edge's gradient; NaN is larger than any."""
    downstream = None if data is None else data["downstream_gradient"]
    norm = -1.0 if downstream is None or downstream.norm is None else float(downstream.norm)
    return math.inf if math.isnan(norm) else norm
