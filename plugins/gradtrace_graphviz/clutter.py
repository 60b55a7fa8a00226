"""Where the label of an arrow stands: near its arrow, clear of all else."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence

from gradtrace_graphviz.scene import Area, Point, meets

__all__ = ["Clutter", "places"]

CELL = 16.0
"""Side of the squares in which what is drawn is looked up, in points."""

TRIED = 40
"""Places along a way where a label is tried."""


class Clutter:
    """What is drawn already, with how bad it is to cover it."""

    def __init__(self) -> None:
        self.squares: dict[tuple[int, int], list[tuple[Area, float]]] = defaultdict(list)

    def add(self, area: Area, weight: float) -> None:
        """Remember that something is drawn in `area`."""
        for square in _squares(area):
            self.squares[square].append((area, weight))

    def cost(self, area: Area) -> float:
        """Return how bad it is to draw in `area`."""
        found = {each for square in _squares(area) for each in self.squares.get(square, ())}
        return sum(weight for other, weight in found if meets(area, other))

    def best(self, areas: Iterable[Area], *, slack: float = 0.0) -> Area:
        """Return the first of `areas` in which least is covered, save in the slack at its edges."""
        best, least = None, math.inf
        for area in areas:
            cost = self.cost((area[0], area[1] + slack, area[2], area[3] - slack))
            if best is None or cost < least:
                best, least = area, cost
            if not cost:
                break
        assert best is not None
        return best


def _squares(area: Area) -> Iterable[tuple[int, int]]:
    left, top, right, low = (math.floor(edge / CELL) for edge in area)
    return [(x, y) for x in range(left, right + 1) for y in range(top, low + 1)]


def places(way: Sequence[Point], size: Point, aside: float) -> list[Area]:
    """Return the areas for a label of some size along a way, best first: beside its middle."""
    wide, high = size
    way = way[:: 1 + len(way) // TRIED]
    found: list[Area] = []
    for index in _from_the_middle(len(way)):
        x, y = way[index]
        before, after = way[max(index - 1, 0)], way[min(index + 1, len(way) - 1)]
        dx, dy = after[0] - before[0], after[1] - before[1]
        right, left = x + aside, x - aside - wide
        if abs(dx) > 2 * abs(dy):
            corners = [(x - wide / 2, y - high - aside), (x - wide / 2, y + aside)]
        else:
            corners = [(right, y - high / 2), (left, y - high / 2)]
            rising = dx * dy < 0
            corners += [(right, y), (left, y - high)] if rising else [(right, y - high), (left, y)]
        found += [(cx, cy, cx + wide, cy + high) for cx, cy in corners]
    return found


def _from_the_middle(count: int) -> list[int]:
    """Return numbers up to `count`, those in the middle first.

    >>> _from_the_middle(5)
    [2, 1, 3, 0, 4]
    """
    middle = (count - 1) / 2
    return sorted(range(count), key=lambda index: (abs(index - middle), index))
