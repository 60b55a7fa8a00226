"""Which arrows are skips: they run beside a longer way between the same two boxes."""

from __future__ import annotations

from collections import defaultdict

from gradtrace.render.pieces import Drawing

__all__ = ["skips"]

CARRYING = ("input", "call", "item")
"""Kinds of nodes whose value a network carries on."""


def skips(drawing: Drawing) -> frozenset[int]:
    """Return the numbers of the arrows that are skips."""
    layer = drawing.layers()
    tails: dict[int, set[int]] = defaultdict(set)
    for arrow in drawing.arrows:
        if not arrow.carried:
            tails[arrow.head].add(arrow.tail)
    return frozenset(
        index
        for index, arrow in enumerate(drawing.arrows)
        if not arrow.carried
        and layer[arrow.head] - layer[arrow.tail] > 1
        and drawing.boxes[arrow.tail].data.get("kind") in CARRYING
        and _leads(arrow.tail, tails[arrow.head] - {arrow.tail}, tails, layer)
    )


def _leads(tail: int, heads: set[int], tails: dict[int, set[int]], layer: list[int]) -> bool:
    """Tell whether a way leads from `tail` to any of `heads`."""
    waiting, seen = list(heads), set(heads)
    while waiting:
        box = waiting.pop()
        if box == tail:
            return True
        further = {each for each in tails[box] if layer[each] >= layer[tail]} - seen
        seen |= further
        waiting += further
    return False
