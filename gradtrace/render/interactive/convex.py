"""The scopes that can be folded without a circle: those that no value leaves and enters again.

The layers of a list are often called one by one, with calls of the model between them. The list
is no place then that values flow through, and a box for it would stand before and after those.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from gradtrace.render.scopes import Frames

__all__ = ["convex"]


def convex(
    frames: Frames, edges: Sequence[tuple[int, int]]
) -> tuple[list[dict[str, str | int]], list[int]]:
    """Return the scopes that stay, and the number of the innermost one of each box; -1 is none.

    `edges` are pairs of boxes, which are numbered such that operands come before results.
    """
    parents = {cluster.id: cluster.parent for cluster in frames.clusters}
    inside: dict[str, set[int]] = defaultdict(set)
    for box, frame in enumerate(frames.members):
        for around in _upwards(frame, parents):
            inside[around].add(box)
    tails: dict[int, list[int]] = defaultdict(list)
    for tail, head in edges:
        tails[head].append(tail)
    kept = [each for each in frames.clusters if not _is_reentered(inside[each.id], tails)]
    number = {cluster.id: position for position, cluster in enumerate(kept)}

    def innermost(frame: str | None) -> int:
        return next((number[f] for f in _upwards(frame, parents) if f in number), -1)

    scopes: list[dict[str, str | int]] = []
    for cluster in kept:
        parent = innermost(cluster.parent)
        scope = cluster.tooltip
        outer = f"{scopes[parent]['scope']}." if parent >= 0 else ""
        scopes.append({"label": scope.removeprefix(outer), "scope": scope, "parent": parent})
    return scopes, [innermost(frame) for frame in frames.members]


def _upwards(frame: str | None, parents: dict[str, str | None]) -> Iterator[str]:
    """Yield a frame and those around it, innermost first."""
    while frame is not None:
        yield frame
        frame = parents[frame]


def _is_reentered(inside: set[int], tails: dict[int, list[int]]) -> bool:
    """Tell whether a value that left these boxes comes back into one of them."""
    left: set[int] = set()
    for box in range(min(inside), max(inside) + 1):
        if box in inside:
            if not left.isdisjoint(tails[box]):
                return True
        elif any(tail in inside or tail in left for tail in tails[box]):
            left.add(box)
    return False
