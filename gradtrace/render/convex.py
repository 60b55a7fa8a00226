"""The frames that values flow through: those that no value leaves and enters again.

The layers of a list are often called one by one, with calls of the model between them. The list
is no place then that values flow through: what is drawn as one would stand before and after those.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace

from gradtrace.render.parts import Cluster
from gradtrace.render.scopes import Frames, shortened

__all__ = ["convex"]


def convex(frames: Frames, edges: Iterable[tuple[int, int]]) -> Frames:
    """Return `frames` without those that a value leaves and enters again.

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
    kept = {each.id for each in frames.clusters if not _is_reentered(inside[each.id], tails)}

    def innermost(frame: str | None) -> str | None:
        return next((each for each in _upwards(frame, parents) if each in kept), None)

    clusters = [
        _inside(cluster, innermost(cluster.parent), frames)
        for cluster in frames.clusters
        if cluster.id in kept
    ]
    scopes = {frame: scope for frame, scope in frames.scopes.items() if frame in {None, *kept}}
    return Frames(tuple(clusters), tuple(map(innermost, frames.members)), scopes)


def _inside(cluster: Cluster, parent: str | None, frames: Frames) -> Cluster:
    """Return a frame in `parent`, named as in that."""
    if parent == cluster.parent or cluster.repeats > 1:
        return replace(cluster, parent=parent)
    outer = f"{frames.scopes[parent]}." if parent else ""
    return replace(cluster, parent=parent, label=shortened(cluster.tooltip.removeprefix(outer)))


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
