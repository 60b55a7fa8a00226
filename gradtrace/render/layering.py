"""The order and the places of things in layers: few crossings, straight ways, no overlap."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

__all__ = ["ACROSS", "Cell", "order", "place"]

ACROSS = 16.0
"""Room between boxes beside each other, in points."""

SWEEPS = 8


@dataclass(eq=False)
class Cell:
    """One thing in a layer: a call with the leaves beside it, or a lane of a long edge."""

    rank: int
    left: float
    right: float
    thickness: float = 0.0
    path: tuple[str, ...] = ()
    x: float = 0.0
    place: float = 0.0
    above: list[Cell] = field(default_factory=list)
    below: list[Cell] = field(default_factory=list)


def order(layers: Sequence[list[Cell]]) -> None:
    """Move each cell toward the middle of those it is linked to; frames stay together."""
    for layer in layers:
        layer.sort(key=lambda cell: cell.path)
        for place, cell in enumerate(layer):
            cell.place = place
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        for layer in layers if down else layers[::-1]:
            wishes = {id(cell): _middle(cell.above if down else cell.below, cell) for cell in layer}
            groups: dict[tuple[str, ...], list[float]] = defaultdict(list)
            for cell in layer:
                for end in range(len(cell.path) + 1):
                    groups[cell.path[:end]].append(wishes[id(cell)])
            means = {path: sum(each) / len(each) for path, each in groups.items()}

            def key(cell: Cell) -> list[tuple[float, str]]:
                steps = [cell.path[: end + 1] for end in range(len(cell.path))]
                return [*((means[p], p[-1]) for p in steps), (wishes[id(cell)], "")]  # noqa: B023

            layer.sort(key=key)
            for place, cell in enumerate(layer):
                cell.place = place


def _middle(ends: Sequence[Cell], cell: Cell) -> float:
    return sum(end.place for end in ends) / len(ends) if ends else cell.place


def place(layers: Sequence[list[Cell]]) -> None:
    """Place each layer as near as can be to what it is linked to, without overlap."""
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        for layer in layers if down else layers[::-1]:
            _settle(layer, down=down)


def _settle(layer: Sequence[Cell], *, down: bool) -> None:
    """Place a layer by least squares under its order: what would overlap moves as one."""
    groups: list[tuple[float, list[tuple[Cell, float]]]] = []
    offset = 0.0
    for index, cell in enumerate(layer):
        if index:
            offset += layer[index - 1].right + cell.left + ACROSS
        ends = cell.above if down else cell.below
        wish = sum(end.x for end in ends) / len(ends) if ends else cell.x
        group = (wish - offset, [(cell, offset)])
        while groups and groups[-1][0] > group[0]:
            at, cells = groups.pop()
            share = len(cells) / (len(cells) + len(group[1]))
            group = (at * share + group[0] * (1 - share), cells + group[1])
        groups.append(group)
    for at, cells in groups:
        for cell, apart in cells:
            cell.x = at + apart
