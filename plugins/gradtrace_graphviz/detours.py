"""The ways of arrows that run beside what they pass: skips, and what a step hands to the next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from gradtrace_graphviz.scene import HEAD, KAPPA, Area, Point, meets

__all__ = ["Detour", "Detours"]

CLEAR = 5.0
"""Room between the lane of a detour and what it passes."""

LEAST = 13.0
"""Least room between a box and the lane of its own arrow, for the point of the arrow."""

CORNER = 5.0
"""Radius of the corners of a detour."""


@dataclass(frozen=True, slots=True)
class Detour:
    """The way of one arrow, with the place of its label."""

    points: tuple[Point, ...]
    """Points of cubic curves, and the point of the arrow at last."""
    label: Point
    """The centre of its label."""


@dataclass
class Detours:
    """Finds a lane for each arrow, beside all boxes and earlier lanes.

    Values flow down, or up, here; who draws sideways turns what goes in and what comes out.
    """

    boxes: Mapping[str, Area]
    lanes: list[Area] = field(default_factory=list)
    """What lanes keep clear of besides boxes: labels, arrows from the side, earlier lanes."""
    ports: dict[tuple[str, int, bool], int] = field(default_factory=dict)
    """How many arrows there are at a box already: on which side, at its lower half or not."""

    def way(self, tail: str, head: str, label: Point, *, side: int) -> Detour | None:
        """Return the way from `tail` to `head` on a side, 1 for the right; None where it is barred.

        Of the lanes that are free, that nearest to the boxes is taken.
        """
        down = self.boxes[tail][1] < self.boxes[head][1]
        begin, end = self._port(tail, side, lower=down), self._port(head, side, lower=not down)
        if tail == head:
            begin, end = self._port(tail, side, lower=True), self._port(tail, side, lower=False)
        for lane in self._lanes(tail, head, begin, end, side):
            if self._is_free(tail, head, begin, end, lane):
                self._take(tail, head, side, down=down)
                return self._along(begin, end, lane, label, side)
        return None

    def _port(self, name: str, side: int, *, lower: bool) -> Point:
        """Return where an arrow leaves or enters a box: the more there are, the nearer its middle.

        So arrows that lie one within the other do not cross.
        """
        left, top, right, low = self.boxes[name]
        count = self.ports.get((name, side, lower), 0)
        share = 0.28 / (1 + count)
        middle = (top + low) / 2
        return (right if side > 0 else left), middle + (low - top) * (share if lower else -share)

    def _take(self, tail: str, head: str, side: int, *, down: bool) -> None:
        for port in ((tail, side, down), (head, side, not down)):
            self.ports[port] = self.ports.get(port, 0) + 1

    def _lanes(self, tail: str, head: str, begin: Point, end: Point, side: int) -> Iterator[float]:
        """Yield the places of lanes that pass closely by something, nearest first."""
        low, high = sorted((begin[1], end[1]))
        edge = 2 if side > 0 else 0
        least = max(side * begin[0], side * end[0])
        passed = [area for area in (*self.boxes.values(), *self.lanes)
                  if area[1] < high + CLEAR and low - CLEAR < area[3]]  # fmt: skip
        reaches = {least + LEAST, *(side * area[edge] + CLEAR for area in passed)}
        yield from (side * reach for reach in sorted(reaches) if reach >= least + LEAST)

    def _is_free(self, tail: str, head: str, begin: Point, end: Point, lane: float) -> bool:
        low, high = sorted((begin[1], end[1]))
        down = (lane - CLEAR + 1, low, lane + CLEAR - 1, high)
        if any(meets(down, area) for area in (*self.boxes.values(), *self.lanes)):
            return False
        return not any(
            meets((min(x, lane), y - 2, max(x, lane), y + 2), area)
            for own, (x, y) in ((tail, begin), (head, end))
            for name, area in self.boxes.items()
            if name != own
        )

    def _along(self, begin: Point, end: Point, lane: float, label: Point, side: int) -> Detour:
        """Return the way through a lane, which is taken from now on with its label."""
        low, high = sorted((begin[1], end[1]))
        self.lanes.append((lane - 1, low, lane + 1, high))
        wide, high_label = label
        middle = (low + high) / 2
        at = lane + side * (3 + wide / 2), middle
        if wide:
            self.lanes.append((at[0] - wide / 2, middle - high_label / 2,
                               at[0] + wide / 2, middle + high_label / 2))  # fmt: skip
        return Detour(_rounded(begin, end, lane), at)


def _rounded(begin: Point, end: Point, lane: float) -> tuple[Point, ...]:
    """Return a way of three straight lines with rounded corners, and the point of its arrow."""
    side = 1.0 if lane > begin[0] else -1.0
    turn = 1.0 if end[1] >= begin[1] else -1.0
    r = min(CORNER, abs(end[1] - begin[1]) / 2)
    k = r * (1 - KAPPA)
    (x, y), (to, level) = begin, end
    base = to + side * HEAD
    stops: Sequence[Point] = (
        *_straight((x, y), (lane - side * r, y)),
        (lane - side * k, y), (lane, y + turn * k), (lane, y + turn * r),
        *_straight((lane, y + turn * r), (lane, level - turn * r))[1:],
        (lane, level - turn * k), (lane - side * k, level), (lane - side * r, level),
        *_straight((lane - side * r, level), (base, level))[1:],
        (to, level),
    )  # fmt: skip
    return tuple(stops)


def _straight(begin: Point, end: Point) -> tuple[Point, ...]:
    """Return a straight line as a cubic curve."""
    (x, y), (to, level) = begin, end
    third = (to - x) / 3, (level - y) / 3
    return begin, (x + third[0], y + third[1]), (to - third[0], level - third[1]), end
