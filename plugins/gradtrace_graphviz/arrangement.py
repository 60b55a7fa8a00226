"""Where everything of a figure stands: what Graphviz placed, put in order for a page.

Graphviz places the boxes. Leaves beside their call then make room for the labels of their
arrows, rows move together, skips get lanes of their own, and frames close around what they hold.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from gradtrace_graphviz.detours import Detours
from gradtrace_graphviz.frames import frames
from gradtrace_graphviz.ranks import Ranks, runs_aside
from gradtrace_graphviz.rows import respace
from gradtrace_graphviz.scene import HEAD, Area, Point, around
from gradtrace_graphviz.sheet import Sheet
from gradtrace_graphviz.skeleton import Placed, Size, is_twin, ordering, place

__all__ = ["arranged"]

SHORT = 1.7
"""Length of an arrow from a leaf without a label, in sizes of small print."""

Beside = dict[str, tuple[str, int]]
"""Leaves that stand beside their call, with the call and the number of the arrow."""


def arranged(sheet: Sheet, *, gaps: Size, tall: Iterable[int]) -> Placed:
    """Return where everything stands.

    `gaps` is the room between boxes side by side, and one below the other. Labels that are `tall`
    get rows of their own between the boxes; the others stand where there is room. Skips
    have no part in the layout, but those for which no lane is free.
    """
    edges, tall = sheet.figure.edges, frozenset(tall)
    aside = frozenset(
        i for i, edge in enumerate(edges) if runs_aside(edge) and not is_twin(sheet.figure, i)
    )
    for tries in (2, 1, 0):
        placed = _laid_out(sheet, gaps, tall, aside)
        barred = _take_detours(sheet, placed, aside)
        if not barred:
            break
        aside = aside - barred if tries > 1 else frozenset()
    placed.frames = frames(sheet, placed)
    return placed


def _laid_out(
    sheet: Sheet,
    gaps: Size,
    tall: frozenset[int],
    aside: frozenset[int],
    apart: frozenset[str] = frozenset(),
) -> Placed:
    """Return the layout without detours and frames, its rows moved together.

    Leaves that another box keeps from their call stand apart from it in a second layout, and
    all leaves do in a third.
    """
    leaves = _leaves_beside(sheet, apart)
    sizes = dict(sheet.boxes)
    for leaf, (_, index) in leaves.items():
        wide, high = sizes[leaf]
        room = _length(sheet, index) - gaps[0]
        _, (label_wide, label_high) = sheet.label(index)
        sizes[leaf] = (
            (max(wide, 2 * label_wide + 6), high + room)
            if sheet.sideways
            else (wide + room, max(high, 2 * label_high + 4))
        )
    level = {index for _, index in leaves.values()}
    between: dict[int, Size] = {}
    for index in range(len(sheet.figure.edges)):
        number, (wide, high) = sheet.label(index)
        if number in tall and index not in level and not sheet.sideways:
            between[index] = wide + 6, high
    placed = place(
        sheet.figure, sizes, between, sheet.titles, gaps=gaps, without=aside, apart=apart
    )
    barred = frozenset(
        leaf for leaf, (call, _) in leaves.items() if _is_barred(sheet, placed, leaf, call)
    )
    if barred:
        again = frozenset(leaves) | apart if apart else barred
        return _laid_out(sheet, gaps, tall, aside, again)
    placed.labels = {sheet.label(index)[0]: at for index, at in placed.labels.items()}
    for leaf, (call, index) in leaves.items():
        _spread(sheet, placed, leaf, call, index, _length(sheet, index) - gaps[0])
    respace(sheet, placed, gaps[1])
    return placed


def _is_barred(sheet: Sheet, placed: Placed, leaf: str, call: str) -> bool:
    """Tell whether a box stands between a leaf and the call beside it."""
    across = 1 if sheet.sideways else 0
    at, goal = placed.nodes[leaf], placed.nodes[call]
    near, far = sorted((at[across], goal[across]))
    return any(
        near < point[across] < far
        and abs(point[1 - across] - goal[1 - across]) < sheet.boxes[name][1 - across] / 2
        for name, point in placed.nodes.items()
    )


def _leaves_beside(sheet: Sheet, apart: frozenset[str]) -> Beside:
    """Return which leaves stand beside their call."""
    edges = ordering(sheet.figure)
    figure = replace(sheet.figure, edges=tuple(edges.values()))
    beside = Ranks.of(figure, apart=apart).beside
    pairs = {(leaf, call) for call, leaves in beside.items() for leaf in leaves}
    return {
        edge.tail: (edge.head, index)
        for index, edge in edges.items()
        if (edge.tail, edge.head) in pairs
    }


def _length(sheet: Sheet, index: int) -> float:
    """Return how long the arrow of a leaf is."""
    size = sheet.label(index)[1][1 if sheet.sideways else 0]
    return max(size + 2 * HEAD, SHORT * sheet.figure.theme.sizes["detail"])


def _spread(sheet: Sheet, placed: Placed, leaf: str, call: str, index: int, room: float) -> None:
    """Move a leaf away from its call, draw the arrow straight, put its label beside."""
    across = 1 if sheet.sideways else 0
    at, goal = placed.nodes[leaf], placed.nodes[call]
    level = at[1 - across]
    if abs(level - goal[1 - across]) > 1:
        return
    side = 1 if goal[across] > at[across] else -1
    middle = at[across] - side * room / 2
    start = middle + side * sheet.boxes[leaf][across] / 2
    tip = goal[across] - side * sheet.boxes[call][across] / 2
    if sheet.figure.edges[index].tail != leaf:
        start, tip, side = tip, start, -side
    end = tip - side * HEAD
    third = (end - start) / 3
    stops = [(each, level) for each in (start, start + third, end - third, end, tip)]
    placed.edges[index] = _upright(sheet, stops)
    [placed.nodes[leaf]] = _upright(sheet, [(middle, level)])
    number, (wide, high) = sheet.label(index)
    if wide and sheet.sideways:
        placed.labels[number] = level + wide / 2 + 3, (start + tip) / 2
    elif wide:
        placed.labels[number] = (start + tip) / 2, level - high / 2 - 2


def _take_detours(sheet: Sheet, placed: Placed, aside: frozenset[int]) -> frozenset[int]:
    """Add the ways of arrows that run beside what they pass; return those that found none."""
    turn = _turned if sheet.sideways else lambda area: area
    areas = {name: turn(sheet.area(name, placed)) for name in placed.nodes}
    labels = [turn(around(at, sheet.labels[index])) for index, at in placed.labels.items()]
    detours, edges = Detours(areas, [*labels, *_level(sheet, placed)]), sheet.figure.edges
    length = {i: abs(areas[edges[i].tail][1] - areas[edges[i].head][1]) for i in aside}
    return frozenset(
        index
        for index in sorted(aside, key=lambda i: (length[i], i))
        if not any(_detour(sheet, placed, detours, index, side) for side in _sides(sheet, index))
    )


def _level(sheet: Sheet, placed: Placed) -> list[Area]:
    """Return the areas of straight arrows from the side."""
    ways = (_upright(sheet, way) for way in placed.edges.values())
    return [
        (min(way)[0], way[0][1] - 1, max(way)[0], way[0][1] + 1)
        for way in ways
        if len({level for _, level in way}) == 1
    ]


def _sides(sheet: Sheet, index: int) -> tuple[int, int]:
    """Return where an arrow had best go: what a step hands on goes back to the left."""
    edge = sheet.figure.edges[index]
    return (-1, 1) if "carried" in (edge.kind, edge.against) else (1, -1)


def _detour(sheet: Sheet, placed: Placed, detours: Detours, index: int, side: int) -> bool:
    """Add the way of an arrow on a side, and of its gradient; tell whether there is one."""
    edge, (number, size) = sheet.figure.edges[index], sheet.label(index)
    label = size[::-1] if sheet.sideways else size
    twin = index + 1 < len(sheet.figure.edges) and is_twin(sheet.figure, index + 1)
    found = detours.way(edge.tail, edge.head, (0.0, 0.0) if twin else label, side=side)
    if found is None:
        return False
    placed.edges[index] = _upright(sheet, found.points)
    if twin and (back := detours.way(edge.head, edge.tail, label, side=side)):
        found = back
        placed.edges[index + 1] = _upright(sheet, found.points)
    if size[0]:
        [placed.labels[number]] = _upright(sheet, [found.label])
    return True


def _upright(sheet: Sheet, points: Iterable[Point]) -> tuple[Point, ...]:
    return tuple((y, x) if sheet.sideways else (x, y) for x, y in points)


def _turned(area: Area) -> Area:
    left, top, right, low = area
    return top, left, low, right
