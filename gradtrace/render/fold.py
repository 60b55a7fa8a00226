"""How much of a graph is drawn, so that its figure stays readable."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

import networkx as nx

from gradtrace.render.boxes import CROWD, PARALLEL, calls_of, draw_boxes
from gradtrace.render.pieces import Drawing, folded_calls
from gradtrace.render.repeats import fold_repeats

__all__ = ["ADVICE", "LIMIT_NODES", "fold"]

LIMIT_NODES = 200
"""Boxes up to which a figure is drawn unfolded; laid out in well under a second."""

ADVICE = " A larger limit_nodes= draws more."
"""What a note ends with, where there is room for more."""

EFFORT = 12
"""Places that a layout may order for each box of the limit: long arrows cost more than boxes."""


@runtime_checkable
class Collapsible(Protocol):
    """A graph that folds its scopes."""

    def collapse(self, depth: int | None = None) -> nx.MultiDiGraph[str]:
        """Fold every scope at `depth` into one node."""
        ...


def fold(
    graph: nx.MultiDiGraph[str],
    *,
    depth: int | None,
    limit: int,
    repeats: bool | None = None,
    crowd: int = CROWD,
    parallel: int = PARALLEL,
) -> tuple[nx.MultiDiGraph[str], Drawing, str | None]:
    """Return the graph as it is drawn, its boxes, and a note on what was folded or left out.

    The graph is folded at `depth`, or left as it is without one; where that takes more than
    `limit` boxes it is folded further, and at last only its first and last calls are drawn.
    Where `repeats` is None, what is repeated is drawn once if that is too large otherwise.
    """
    coarsest = graph
    for level, whole in _levels(graph, depth, limit):
        for folded in _rolled(whole, repeats):
            coarsest = folded
            if len(calls_of(folded)) > limit:
                continue
            drawing = draw_boxes(folded, crowd=crowd, parallel=parallel)
            if _fits(drawing, limit):
                return folded, drawing, _folding_note(folded, level, asked=level == depth)
    ends = _ends(coarsest, limit)
    total = len(calls_of(coarsest))
    drawing = draw_boxes(coarsest, ends=ends, crowd=crowd, parallel=parallel)
    note = f"Of {total:,} calls the first {ends:,} and the last {ends:,} are drawn.{ADVICE}"
    inside = _folded_calls(coarsest)
    if inside:
        note = f"Folded at depth 1: {inside:,} calls are inside folded boxes. {note}"
    return coarsest, drawing, note


def _levels(
    graph: nx.MultiDiGraph[str], depth: int | None, limit: int
) -> Iterator[tuple[int | None, nx.MultiDiGraph[str]]]:
    """Yield the graph ever more folded, from `depth` on; levels sure to be too large only last."""
    folding: object = graph
    if not isinstance(folding, Collapsible):
        yield None, graph
        return
    scopes = [graph.nodes[node]["scope"] for node in calls_of(graph)]
    deepest = max((scope.count(".") + 1 for scope in scopes if scope), default=0)
    if depth is None or depth > deepest:
        yield None, graph
        depth = deepest
    for level in range(depth, 0, -1):
        heads = {".".join(scope.split(".")[:level]) for scope in scopes}
        if level == 1 or len(heads) <= LIMIT_NODES * 50:
            yield level, folding.collapse(depth=level)


def _rolled(graph: nx.MultiDiGraph[str], repeats: bool | None) -> Iterator[nx.MultiDiGraph[str]]:
    """Yield the graph as it is, then with its repetitions folded, as `repeats` allows."""
    if not repeats:
        yield graph
    if repeats is not False:
        folded = fold_repeats(graph)
        if repeats or folded is not graph:
            yield folded


def _fits(drawing: Drawing, limit: int) -> bool:
    return len(drawing.boxes) <= limit and drawing.effort <= EFFORT * limit


def _ends(graph: nx.MultiDiGraph[str], limit: int) -> int:
    """Return how many calls at each end can be drawn."""
    ends = max(1, limit // 3)
    while ends > 1 and not _fits(draw_boxes(graph, ends=ends), limit):
        ends = ends * 3 // 4
    return ends


def _folded_calls(graph: nx.MultiDiGraph[str]) -> int:
    return sum(folded_calls(data) for _, data in graph.nodes(data=True))


def _folding_note(graph: nx.MultiDiGraph[str], level: int | None, *, asked: bool) -> str | None:
    inside = _folded_calls(graph)
    if not inside:
        return None
    where = f"Folded at depth {level}" if level else "Folded"
    more = "" if asked else ADVICE
    return f"{where}: {inside:,} calls are inside folded boxes.{more}"
