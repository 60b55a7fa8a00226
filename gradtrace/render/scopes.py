"""The frames that scopes are drawn as."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from gradtrace.render.numbers import middle, printable
from gradtrace.render.parts import Cluster
from gradtrace.render.runs import Run

__all__ = ["Frames", "Place", "reaches", "shortened"]

LABEL = 40
"""Characters of a frame's label."""


class Place(NamedTuple):
    """Where a box belongs: a scope, and the module calls around it, outermost first."""

    scope: str = ""
    invocations: tuple[int, ...] = ()
    run: Run | None = None
    """What repeats it."""


class _Key(NamedTuple):
    """One frame: a scope, told apart from other calls of the same module."""

    scope: str
    invocations: tuple[int, ...]
    run: Run | None = None


_Path = tuple[_Key, ...]


def reaches(nodes: Iterable[Mapping[str, Any]]) -> dict[int, str]:
    """Return, for each module call, the innermost scope that holds all nodes made in it.

    >>> reaches([{"scope": "a.b", "invocations": (1, 2)}, {"scope": "a.c", "invocations": (1, 3)}])
    {1: 'a', 2: 'a.b', 3: 'a.c'}
    """
    common: dict[int, list[str]] = {}
    seen: set[tuple[int, str]] = set()
    for node in nodes:
        for serial in node["invocations"]:
            if (serial, node["scope"]) not in seen:
                seen.add((serial, node["scope"]))
                parts = node["scope"].split(".")
                common[serial] = _shared(common.get(serial, parts), parts)
    return {serial: ".".join(parts) for serial, parts in common.items()}


def _shared(first: Sequence[str], second: Sequence[str]) -> list[str]:
    """Return the parts with which both begin."""
    shared: list[str] = []
    for one, other in zip(first, second, strict=False):
        if one != other:
            break
        shared.append(one)
    return shared


@dataclass(frozen=True)
class Frames:
    """The frames around some boxes: only those that hold two boxes and add to their parent.

    >>> places = [Place("net.fc"), Place("net.fc"), Place("net.act"), Place()]
    >>> frames = Frames.around(places, {})
    >>> [(cluster.label, cluster.parent) for cluster in frames.clusters]
    [('net', None), ('fc', 'c0')]
    >>> frames.members
    ('c1', 'c1', 'c0', None)
    """

    clusters: tuple[Cluster, ...]
    members: tuple[str | None, ...]
    """The frame of each box."""
    scopes: dict[str | None, str]
    """The scope of each frame."""

    @classmethod
    def around(cls, places: Sequence[Place], reach: Mapping[int, str]) -> Frames:
        """Return the frames of boxes at `places`; `reach` tells calls of one module apart."""
        paths = [_path(place, reach) for place in places]
        kept = _worthwhile(paths)
        ids: dict[_Path, str] = {}
        clusters: list[Cluster] = []
        members: list[str | None] = []
        scopes: dict[str | None, str] = {None: ""}
        for path in paths:
            parent: str | None = None
            for end in range(1, len(path) + 1):
                prefix = path[:end]
                if prefix not in kept:
                    continue
                if prefix not in ids:
                    ids[prefix] = f"c{len(ids)}"
                    scope = prefix[-1].scope
                    clusters.append(_cluster(ids[prefix], prefix[-1], parent, scopes[parent]))
                    scopes[ids[prefix]] = scope
                parent = ids[prefix]
            members.append(parent)
        return cls(tuple(clusters), tuple(members), scopes)


def _cluster(name: str, key: _Key, parent: str | None, outer: str) -> Cluster:
    label = key.scope.removeprefix(f"{outer}.") if outer else key.scope
    repeats = 1 if key.run is None else key.run.count
    label = label if key.run is None else key.run.label
    return Cluster(name, shortened(label), parent, printable(key.scope), repeats)


def shortened(label: str) -> str:
    """Return the label of a frame."""
    return middle(printable(label), LABEL)


def _path(place: Place, reach: Mapping[int, str]) -> _Path:
    """Return the frames around `place`, outermost first."""
    parts = place.scope.split(".") if place.scope else []
    path = []
    for end in range(1, len(parts) + 1):
        prefix = ".".join(parts[:end])
        around = tuple(i for i in place.invocations if _holds(reach.get(i, ""), prefix))
        path.append(_Key(prefix, around))
    return tuple(path) if place.run is None else _framed(path, place.run)


def _framed(path: Sequence[_Key], run: Run) -> _Path:
    """Return a path with the frame of `run` in it, in place of that of the first repetition."""
    depth = run.scope.count(".") + 1 if run.scope else 0
    inner = depth + 1 if run.numbers[0] else depth
    scope = ".".join(filter(None, (run.scope, run.numbers[0])))
    return (*path[:depth], _Key(scope, (), run), *path[inner:])


def _holds(outer: str, inner: str) -> bool:
    """Tell whether scope `inner` is `outer` or lies in it."""
    return not outer or inner == outer or inner.startswith(f"{outer}.")


def _worthwhile(paths: Sequence[_Path]) -> set[_Path]:
    """Return the frames that hold at least two boxes, not all of them in one inner frame.

    The frame of what is repeated is kept for what it says, whatever is in it.
    """
    boxes: Counter[_Path] = Counter()
    for path in paths:
        boxes.update(path[:end] for end in range(1, len(path) + 1))
    largest: dict[_Path, int] = {}
    for path, count in boxes.items():
        largest[path[:-1]] = max(largest.get(path[:-1], 0), count)
    return {
        path
        for path, count in boxes.items()
        if count > max(1, largest.get(path, 0)) or (path and path[-1].run and count > 1)
    }
