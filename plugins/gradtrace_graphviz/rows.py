"""The room between the rows of a drawing: as much as what stands in it takes, and no more.

Graphviz spaces all ranks alike, and leaves a rank more around each frame, which is the room of a
box. What it placed is therefore moved together, or apart, along the flow.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence

from gradtrace_graphviz.scene import HEAD, Point
from gradtrace_graphviz.sheet import Sheet
from gradtrace_graphviz.skeleton import Placed, Size

__all__ = ["respace"]

BETWEEN = 0.7
"""Room between frames, and between a frame and a box, in sizes of small print."""

LABEL = 1.6
"""Room below a frame for the labels of the arrows that leave it, in sizes of small print."""

SNUG = 3.0
"""Room above and below a row of labels alone, in points."""

Span = tuple[float, float]
"""Where something begins and ends along the flow."""


def respace(sheet: Sheet, placed: Placed, gap: float) -> None:
    """Move rows until all that is between them has its room, and boxes a `gap` at least."""
    axis = 0 if sheet.sideways else 1

    def span(at: Point, size: Size) -> Span:
        return at[axis] - size[axis] / 2, at[axis] + size[axis] / 2

    boxes = {name: span(at, sheet.boxes[name]) for name, at in placed.nodes.items()}
    labels = [span(at, sheet.labels[index]) for index, at in placed.labels.items()]
    rows = _merged([*boxes.values(), *labels])
    row = {name: _row_of(rows, each) for name, each in boxes.items()}
    move = _spaced(rows, _gaps(sheet, placed, row, gap, len(rows)))

    def moved(point: Point) -> Point:
        return (move(point[0]), point[1]) if sheet.sideways else (point[0], move(point[1]))

    placed.nodes = {name: moved(at) for name, at in placed.nodes.items()}
    placed.edges = {
        index: _mended(tuple(map(moved, way)), math.dist(*way[-2:]))
        for index, way in placed.edges.items()
    }
    placed.labels = {index: moved(at) for index, at in placed.labels.items()}


def _mended(way: tuple[Point, ...], length: float) -> tuple[Point, ...]:
    """Return the moved way of an arrow, whose curves join without a bend and whose point is long.

    >>> _mended(((0, 0), (3, 0), (6, 0), (10, 0), (20, 0)), 4)
    ((0, 0), (3, 0), (6, 0), (16.0, 0.0), (20, 0))
    """
    points = list(way)
    for at in range(3, len(way) - 2, 3):
        before, (x, y), after = points[at - 1 : at + 2]
        into, out = math.dist(before, (x, y)), math.dist((x, y), after)
        across = math.dist(before, after) or 1.0
        dx, dy = (after[0] - before[0]) / across, (after[1] - before[1]) / across
        points[at - 1] = x - dx * into, y - dy * into
        points[at + 1] = x + dx * out, y + dy * out
    (x, y), (to, level) = points[-2:]
    share = length / (math.dist((x, y), (to, level)) or 1.0)
    points[-2] = to + (x - to) * share, level + (y - level) * share
    return tuple(points)


def _gaps(
    sheet: Sheet, placed: Placed, row: Mapping[str, int], gap: float, count: int
) -> list[float]:
    """Return the room between each row and the next."""
    text = sheet.figure.theme.sizes["detail"]
    closing, opening = _borders(sheet, row)
    with_boxes = set(row.values())
    labels = _labels(sheet, placed, row) if sheet.sideways else {}
    found = []
    for above in range(count - 1):
        usual = gap if {above, above + 1} <= with_boxes else SNUG
        ends, begins, label = (each.get(above, 0.0) for each in (closing, opening, labels))
        apart = max(text * (BETWEEN if begins else LABEL), label)
        found.append(max(usual, label, ends + begins + apart if ends or begins else 0.0))
    return found


def _labels(sheet: Sheet, placed: Placed, row: Mapping[str, int]) -> dict[int, float]:
    """Return the room for the labels of arrows from each row to the next, above which they are."""
    found: dict[int, float] = {}
    for index, (wide, _) in sheet.labels.items():
        edge = sheet.figure.edges[index]
        first, last = sorted((row[edge.tail], row[edge.head]))
        if index not in placed.labels and last == first + 1:
            found[first] = max(found.get(first, 0.0), wide + 2 * HEAD)
    return found


def _borders(sheet: Sheet, row: Mapping[str, int]) -> tuple[dict[int, float], dict[int, float]]:
    """Return the room for frames that end below a row, and for those that begin there."""
    rows: dict[str, list[int]] = {}
    for name, at in row.items():
        for frame in sheet.frames_at(sheet.home[name]):
            rows.setdefault(frame, []).append(at)
    before, after = (0, 2) if sheet.sideways else (1, 3)
    border = {cluster.id: sheet.border(cluster) for cluster in sheet.figure.clusters}
    closing: dict[int, float] = {}
    opening: dict[int, float] = {}
    for frame, own in rows.items():
        begun = [f for f in sheet.frames_at(frame) if min(rows[f]) == min(own)]
        ended = [f for f in sheet.frames_at(frame) if max(rows[f]) == max(own)]
        for room, at, side, chain in (
            (opening, min(own) - 1, before, begun),
            (closing, max(own), after, ended),
        ):
            room[at] = max(room.get(at, 0.0), sum(border[f][side] for f in chain))
    return closing, opening


def _merged(spans: Iterable[Span]) -> list[Span]:
    """Return rows: what overlaps along the flow as one.

    >>> _merged([(5, 9), (0, 3), (2, 4)])
    [(0, 4), (5, 9)]
    """
    rows: list[Span] = []
    for begin, end in sorted(spans):
        if rows and begin <= rows[-1][1]:
            rows[-1] = rows[-1][0], max(end, rows[-1][1])
        else:
            rows.append((begin, end))
    return rows


def _row_of(rows: Sequence[Span], span: Span) -> int:
    """Return the number of the row that `span` lies in.

    >>> _row_of([(0, 4), (5, 9)], (6, 7))
    1
    """
    return bisect_right(rows, span[0], key=lambda row: row[0]) - 1


def _spaced(rows: Sequence[Span], gaps: Sequence[float]) -> Callable[[float], float]:
    """Return where each place moves when there are these gaps between the rows.

    Rows keep their extent; what lies between two is drawn out or pressed together.

    >>> move = _spaced([(0, 4), (10, 12)], [2])
    >>> [move(place) for place in (-1, 3, 4, 7, 10, 13)]
    [-1.0, 3.0, 4.0, 5.0, 6.0, 9.0]
    """
    old = [place for row in rows for place in row]
    new = old[:1]
    for index in range(1, len(old)):
        step = gaps[index // 2 - 1] if index % 2 == 0 else old[index] - old[index - 1]
        new.append(new[-1] + step)

    def move(place: float) -> float:
        if not old or place <= old[0]:
            return float(place)
        if place >= old[-1]:
            return float(place - old[-1] + new[-1])
        at = bisect_right(old, place)
        extent = old[at] - old[at - 1]
        share = (place - old[at - 1]) / extent if extent else 0.0
        return new[at - 1] + share * (new[at] - new[at - 1])

    return move
