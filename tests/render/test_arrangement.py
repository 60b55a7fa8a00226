"""Where things stand in a drawing: nothing overlaps, frames close, skips pass beside."""

from __future__ import annotations

from itertools import combinations, pairwise
from typing import Any

import numpy as np
import pytest

from gradtrace.demos import exploding, recurrent
from gradtrace.render import figure
from gradtrace.render.parts import Figure
from gradtrace_graphviz.arrangement import arranged
from gradtrace_graphviz.detours import Detours
from gradtrace_graphviz.drawing import drawing
from gradtrace_graphviz.scene import Area, Group, meets, reach
from gradtrace_graphviz.sheet import Sheet
from gradtrace_graphviz.skeleton import Placed
from tests.render import examples

NAMES = ("mlp", "oddities", "residual", "scalars")
DIRECTIONS = {"down": (1, 1), "up": (-1, 1), "right": (1, 0), "left": (-1, 0)}
"""Where values flow: against or along an axis, and which."""

OPTIONS = (
    {},
    {"width": 20},
    {"passes": "both"},
    {"passes": "backward"},
    {"math": True, "show": ["grids", "values", "local_derivatives", "parameters"]},
    {"theme": "slides", "fold_repeats": True},
)

SLACK = 2.0
"""Room above and below the letters of a label."""

names = pytest.mark.parametrize("name", NAMES)
directions = pytest.mark.parametrize("direction", DIRECTIONS)


def sheet_of(drawn: Figure) -> Sheet:
    """Return a figure with boxes and labels of some sizes."""
    return Sheet(
        drawn,
        {node.id: (60.0, 24.0) for node in drawn.nodes},
        {index: (30.0, 8.0) for index, edge in enumerate(drawn.edges) if edge.label},
        {cluster.id: (40.0, 9.0) for cluster in drawn.clusters},
    )


def placed_on(sheet: Sheet) -> Placed:
    return arranged(sheet, gaps=(10.0, 14.0), tall=())


def areas(groups: tuple[Group, ...], kind: str) -> list[Area]:
    return [reach(group.parts) for group in groups if group.kind == kind and group.parts]


def overlaps(found: list[Area]) -> list[tuple[Area, Area]]:
    return [(one, two) for one, two in combinations(found, 2) if meets(_less(one), _less(two))]


def _less(area: Area) -> Area:
    return area[0] + 1, area[1] + 1, area[2] - 1, area[3] - 1


@names
@directions
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_boxes_do_not_overlap(name: str, direction: str, options: dict[str, object]) -> None:
    graph = getattr(examples, name)()
    page = drawing(figure(graph, direction=direction, **options))  # type: ignore[arg-type]
    assert not overlaps(areas(page.groups, "node"))


def test_overlap_is_seen_where_it_is() -> None:
    assert overlaps([(0, 0, 10, 10), (5, 5, 15, 15)])
    assert not overlaps([(0, 0, 10, 10), (10, 0, 20, 10)])


@names
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_labels_cover_no_box_and_no_label(name: str, options: dict[str, object]) -> None:
    page = drawing(figure(getattr(examples, name)(), **options))  # type: ignore[arg-type]
    labels, boxes = areas(page.groups, "label"), areas(page.groups, "node")
    letters = [(left, top + SLACK, right, low - SLACK) for left, top, right, low in labels]
    assert not [(label, box) for label in letters for box in boxes if meets(label, box)]
    assert not overlaps(letters)


@names
@directions
def test_frames_hold_what_is_in_them_and_nothing_else(name: str, direction: str) -> None:
    drawn = figure(getattr(examples, name)(), direction=direction)
    sheet = sheet_of(drawn)
    placed = placed_on(sheet)
    for node in drawn.nodes:
        for cluster in drawn.clusters:
            area, frame = sheet.area(node.id, placed), placed.frames[cluster.id]
            inside = cluster.id in sheet.frames_at(node.cluster)
            assert meets(area, frame) == inside
            assert not inside or (frame[0] < area[0] and area[2] < frame[2])
    for cluster in drawn.clusters:
        if cluster.parent is not None:
            inner, outer = placed.frames[cluster.id], placed.frames[cluster.parent]
            assert outer[0] < inner[0] < inner[2] < outer[2]
            assert outer[1] < inner[1] < inner[3] < outer[3]


@names
@directions
def test_values_flow_where_they_are_told_to(name: str, direction: str) -> None:
    drawn = figure(getattr(examples, name)(), direction=direction)
    placed = placed_on(sheet_of(drawn))
    sign, axis = DIRECTIONS[direction]
    for edge in drawn.edges:
        tail, head = placed.nodes[edge.tail][axis], placed.nodes[edge.head][axis]
        assert sign * (head - tail) > -1e-6  # beside each other, or in order


@directions
@pytest.mark.parametrize("steps", [2, 3, 5])
@pytest.mark.parametrize("chapter", [recurrent, exploding])
def test_no_arrow_of_a_leaf_passes_behind_a_box(chapter: Any, steps: int, direction: str) -> None:
    numbers = [recurrent.numbers()] if chapter is recurrent else []
    drawn = figure(chapter.trace(*numbers, steps=steps)[0], direction=direction)
    sheet = sheet_of(drawn)
    placed = placed_on(sheet)
    for index, edge in enumerate(drawn.edges):
        (x, y), *_, (to, level) = placed.edges[index]
        if min(np.ptp(placed.edges[index], axis=0)) > 1e-6:
            continue  # a curve, whose way Graphviz has found
        way = min(x, to) - 0.5, min(y, level) - 0.5, max(x, to) + 0.5, max(y, level) + 0.5
        others = [n.id for n in drawn.nodes if n.id not in (edge.tail, edge.head)]
        assert not [name for name in others if meets(way, sheet.area(name, placed))]


@directions
def test_skips_pass_beside_all_boxes(direction: str) -> None:
    drawn = figure(examples.residual(), direction=direction)
    sheet = sheet_of(drawn)
    placed = placed_on(sheet)
    skips = {index: edge for index, edge in enumerate(drawn.edges) if edge.kind == "skip"}
    assert len(skips) == 2
    for index, edge in skips.items():
        others = [n.id for n in drawn.nodes if n.id not in (edge.tail, edge.head)]
        for (x, y), (to, level) in pairwise(placed.edges[index]):
            step = min(x, to) - 0.5, min(y, level) - 0.5, max(x, to) + 0.5, max(y, level) + 0.5
            assert not [name for name in others if meets(step, sheet.area(name, placed))]


def test_detours_lie_one_within_the_other() -> None:
    boxes = {str(i): (0.0, 40.0 * i, 60.0, 40.0 * i + 20.0) for i in range(6)}
    detours = Detours(boxes)
    inner = detours.way("2", "3", (20.0, 8.0), side=1)
    outer = detours.way("0", "5", (20.0, 8.0), side=1)
    assert inner is not None
    assert outer is not None
    lane = max(x for x, _ in inner.points)
    assert max(x for x, _ in outer.points) > inner.label[0] + 10 > lane + 10


def test_a_detour_that_is_barred_is_none() -> None:
    boxes = {"a": (0.0, 0.0, 60.0, 20.0), "b": (0.0, 80.0, 60.0, 100.0)}
    wall = {"wall": (65.0, 0.0, 70.0, 20.0)}
    assert Detours(boxes).way("a", "b", (0.0, 0.0), side=1) is not None
    assert Detours(boxes | wall).way("a", "b", (0.0, 0.0), side=1) is None
