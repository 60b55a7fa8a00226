"""The frames of a drawing, each close around its boxes, its inner frames and its arrows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from gradtrace.render.parts import Cluster
from gradtrace_graphviz.detours import CLEAR
from gradtrace_graphviz.ranks import runs_aside
from gradtrace_graphviz.scene import Area, around, meets
from gradtrace_graphviz.sheet import Sheet
from gradtrace_graphviz.skeleton import Placed

__all__ = ["frames"]


def frames(sheet: Sheet, placed: Placed) -> dict[str, Area]:
    """Return where the frames are, inner ones first."""
    inside = _contents(sheet, placed)
    members: dict[str, set[str]] = defaultdict(set)
    for name in placed.nodes:
        for frame in sheet.frames_at(sheet.home[name]):
            members[frame].add(name)
    found: dict[str, Area] = {}
    for cluster in reversed(sheet.figure.clusters):
        if not inside[cluster.id]:
            continue
        own = _widened(sheet, placed, _union(inside[cluster.id]), members[cluster.id])
        found[cluster.id] = own = _bordered(sheet, cluster, own)
        if cluster.parent is not None:
            inside[cluster.parent].append(own)
    return found


def _contents(sheet: Sheet, placed: Placed) -> dict[str | None, list[Area]]:
    """Return what stands in each frame itself: boxes, and labels of arrows between them."""
    inside: dict[str | None, list[Area]] = defaultdict(list)
    for name in placed.nodes:
        inside[sheet.home[name]].append(sheet.area(name, placed))
    for index, at in placed.labels.items():
        edge = sheet.figure.edges[index]
        outer = sheet.frames_at(sheet.home[edge.head])
        shared = next((f for f in sheet.frames_at(sheet.home[edge.tail]) if f in outer), None)
        if not runs_aside(edge):
            inside[shared].append(around(at, sheet.labels[index]))
    return inside


def _widened(sheet: Sheet, placed: Placed, own: Area, members: set[str]) -> Area:
    """Return what is in a frame with the arrows beside it, unless other boxes stand between."""
    foreign = [sheet.area(name, placed) for name in placed.nodes if name not in members]
    for area in _passing(sheet, placed, members, own):
        wider = _union([own, area])
        if not any(meets(wider, other) for other in foreign):
            own = wider
    return own


def _passing(sheet: Sheet, placed: Placed, members: set[str], own: Area) -> Iterator[Area]:
    """Yield what arrows with an end in a frame take of the room beside it."""
    for index, edge in enumerate(sheet.figure.edges):
        way = placed.edges.get(index)
        if not way or not runs_aside(edge) or members.isdisjoint((edge.tail, edge.head)):
            continue
        areas = [_union((x - CLEAR / 2, y, x + CLEAR / 2, y) for x, y in way)]
        number, size = sheet.label(index)
        if number in placed.labels:
            areas.append(around(placed.labels[number], size))
        for left, top, right, low in areas:
            if sheet.sideways:
                yield max(left, own[0]), top, min(right, own[2]), low
            elif top < own[3] and own[1] < low:
                yield left, max(top, own[1]), right, min(low, own[3])


def _bordered(sheet: Sheet, cluster: Cluster, own: Area) -> Area:
    """Return a frame around what is in it, wide enough for its title."""
    left, top, right, low = sheet.border(cluster)
    wide = max(left + own[2] - own[0] + right, sheet.titles[cluster.id][0] + 12)
    return own[0] - left, own[1] - top, own[0] - left + wide, own[3] + low


def _union(areas: Iterable[Area]) -> Area:
    lefts, tops, rights, lows = zip(*areas, strict=True)
    return min(lefts), min(tops), max(rights), max(lows)
