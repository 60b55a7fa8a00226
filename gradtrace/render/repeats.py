"""What ran again and again, drawn once: the blocks of a network, or the steps of a recurrence.

A run is found in the sequence of calls: the same operations on the same shapes, in scopes that
differ in numbers only, each repetition wired as the one before it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any

import networkx as nx
import numpy as np

from gradtrace.render.boxes import calls_of
from gradtrace.render.pieces import LEAVES, place_of
from gradtrace.render.runs import Carried, Run, common

__all__ = ["LEAST", "fold_repeats"]

LEAST = 3
"""Repetitions that are worth folding."""

LONGEST = 600
"""Calls of the longest repetition that is looked for."""

Descriptor = tuple[object, ...]


def fold_repeats(graph: nx.MultiDiGraph[str]) -> nx.MultiDiGraph[str]:
    """Return `graph` with one node for all repetitions of a call.

    The node is that of the first repetition; `repeated` holds the attributes in each of them, and
    `run` says what is repeated. Without repetitions, `graph` itself is returned.
    """
    calls = calls_of(graph)
    stretches = [
        stretch for each in _candidates(graph, calls) if (stretch := _alike(graph, calls, *each))
    ]
    chosen = _disjoint(stretches)
    return _Folder(graph, calls).fold(chosen) if chosen else graph


Stretch = tuple[int, int, int]
"""Where a run begins among the calls, calls of a repetition, calls of the run."""


def _candidates(graph: nx.MultiDiGraph[str], calls: Sequence[str]) -> Iterator[Stretch]:
    """Yield the stretches in which calls look alike, whatever their wiring."""
    numbers: dict[Descriptor, int] = {}
    tokens = np.array(
        [numbers.setdefault(_token(graph.nodes[call]), len(numbers)) for call in calls], dtype=int
    )
    found: list[Stretch] = []
    for period in range(1, min(len(calls) // LEAST, LONGEST) + 1):
        equal = np.flatnonzero(np.diff(tokens[:-period] == tokens[period:], prepend=0, append=0))
        for begin, end in zip(equal[::2], equal[1::2], strict=True):
            stretch = int(begin), period, int(end - begin) + period
            if stretch[2] >= LEAST * period and not any(_divides(each, stretch) for each in found):
                found.append(stretch)
                yield stretch


def _divides(shorter: Stretch, longer: Stretch) -> bool:
    """Tell whether `longer` only takes several repetitions of `shorter` as one."""
    inside = shorter[0] <= longer[0] and _end(longer) <= _end(shorter)
    return inside and longer[1] % shorter[1] == 0


def _end(stretch: Stretch) -> int:
    return stretch[0] + stretch[2]


def _token(data: Mapping[str, Any]) -> Descriptor:
    """Return what calls have in common that look alike."""
    scope = re.sub(r"(^|\.)\d+(?=\.|$)", r"\1#", data["scope"])
    op = None if str(data["op"]).isdigit() else data["op"]
    return data["kind"], op, data.get("folded"), scope, _shapes(data["value"])


def _shapes(value: object) -> Descriptor:
    parts = value if isinstance(value, tuple) else (value,)
    return tuple(getattr(part, "shape", None) for part in parts)


def _disjoint(stretches: Sequence[Stretch]) -> list[Stretch]:
    """Return stretches that do not overlap, those that save most calls first."""
    chosen: list[Stretch] = []
    for stretch in sorted(stretches, key=lambda s: (s[1] - s[2], s[1], s[0])):
        if all(_end(stretch) <= s[0] or stretch[0] >= _end(s) for s in chosen):
            chosen.append(stretch)
    return sorted(chosen)


def _alike(
    graph: nx.MultiDiGraph[str], calls: Sequence[str], begin: int, period: int, length: int
) -> Stretch | None:
    """Return the longest part of a stretch whose repetitions are wired alike, if long enough."""
    begin, count = _aligned(graph, calls, begin, period, length)
    wired = [_wiring(graph, calls, begin, period, repetition) for repetition in range(count)]
    longest = 0, 0
    for _, group in groupby(range(1, count), key=lambda repetition: wired[repetition].kinds):
        members = list(group)
        first = members[0]
        if _continues(wired[first - 1], wired[first]):
            first -= 1
        longest = max(longest, (members[-1] + 1 - first, -first))
    if longest[0] < LEAST:
        return None
    return begin - longest[1] * period, period, longest[0] * period


def _aligned(
    graph: nx.MultiDiGraph[str], calls: Sequence[str], begin: int, period: int, length: int
) -> tuple[int, int]:
    """Return a stretch so that each repetition is a numbered scope of its own, if it can be.

    The calls before the first repetition may look like the end of one.
    """
    scopes = [place_of(graph.nodes[call]).scope for call in calls[begin : begin + length]]
    outer = common(scopes)
    for shift in range(period):
        left = (length - shift) // period
        inner = [common(scopes[shift + i * period : shift + (i + 1) * period]) for i in range(left)]
        if all(scope != outer for scope in inner):
            return begin + shift, left
    return begin, length // period


@dataclass(frozen=True, slots=True)
class _Wiring:
    """Where the operands in one repetition come from."""

    kinds: dict[Descriptor, Descriptor]
    """At each place: its own call, one of the repetition before, a leaf, or from outside."""
    operands: dict[Descriptor, str]


def _continues(first: _Wiring, second: _Wiring) -> bool:
    """Tell whether the first repetition takes from outside what the others carry over.

    That is nothing which the others take from outside as well.
    """
    if not first.kinds.keys() <= second.kinds.keys():
        return False
    shared = {second.operands[p] for p, kind in second.kinds.items() if kind[0] == "outside"}
    return all(
        first.operands.get(place) not in shared and first.kinds.get(place, ("",))[0] != "own"
        if kind[0] == "carried"
        else first.kinds.get(place) == kind
        for place, kind in second.kinds.items()
    )


def _wiring(
    graph: nx.MultiDiGraph[str], calls: Sequence[str], begin: int, period: int, repetition: int
) -> _Wiring:
    """Return where the operands of each call in a repetition come from."""
    start = begin + repetition * period
    own = {call: index for index, call in enumerate(calls[start : start + period])}
    before = {call: index for index, call in enumerate(calls[max(start - period, 0) : start])}
    if repetition == 0:
        before = {}
    found = _Wiring({}, {})
    for index, call in enumerate(own):
        for operand, key, data in _operands(graph, call):
            near = operand in own or operand in before
            place = _place(index, key, data, graph.nodes[call], near=near)
            found.operands[place] = operand
            if operand in own:
                found.kinds[place] = "own", own[operand]
            elif operand in before:
                found.kinds[place] = "carried", before[operand]
            elif _is_private(graph, operand, own):
                data = graph.nodes[operand]
                found.kinds[place] = "leaf", data["kind"], _shapes(data["value"])
            else:
                found.kinds[place] = ("outside",)
    return found


def _place(
    index: int, key: Any, edge: Mapping[str, Any], call: Mapping[str, Any], *, near: bool
) -> Descriptor:
    """Return where a call uses an operand; each step may take another item of a result."""
    if call["kind"] == "item" and not near:
        return (index,)
    return index, key, None if call.get("folded") else edge["operand"]


def _operands(graph: nx.MultiDiGraph[str], call: str) -> list[tuple[str, Any, Mapping[str, Any]]]:
    edges = sorted(graph.in_edges(call, keys=True, data=True), key=lambda edge: str(edge[2]))
    return [(operand, key, data) for operand, _, key, data in edges]


def _is_private(graph: nx.MultiDiGraph[str], node: str, users: Mapping[str, int]) -> bool:
    """Tell whether a leaf is used by these calls alone."""
    if graph.nodes[node]["kind"] not in LEAVES:
        return False
    return all(user in users for user in graph.successors(node))


@dataclass
class _Folder:
    """Folds runs of one graph."""

    graph: nx.MultiDiGraph[str]
    calls: Sequence[str]

    def fold(self, stretches: Sequence[Stretch]) -> nx.MultiDiGraph[str]:
        """Return the graph with these runs folded."""
        runs = [self.run(index, *stretch) for index, stretch in enumerate(stretches)]
        standing: dict[str, str] = {}
        folded: nx.MultiDiGraph[str] = nx.MultiDiGraph()
        folded.graph.update(self.graph.graph)
        special: dict[str, dict[str, Any]] = {}
        for run, columns in runs:
            for column in columns:
                standing |= dict.fromkeys(column, column[0])
                repeated = tuple(self.graph.nodes[node] for node in column)
                special[column[0]] = {"repeated": repeated, "run": run}
        for node, data in self.graph.nodes(data=True):
            if standing.get(node, node) == node:
                folded.add_node(node, **data, **special.get(node, {}))
        place = {call: index for index, call in enumerate(self.calls)}
        for tail, head, key, data in self.graph.edges(keys=True, data=True):
            if standing.get(head, head) != head:
                continue
            if standing.get(tail, tail) == tail or place.get(head, 0) > place.get(tail, 0):
                folded.add_edge(standing.get(tail, tail), head, key, **data)
        return folded

    def run(
        self, index: int, begin: int, period: int, length: int
    ) -> tuple[Run, list[tuple[str, ...]]]:
        """Return a run, with the nodes of all repetitions that become one node."""
        count = length // period
        rows = [self.calls[begin + i * period : begin + (i + 1) * period] for i in range(count)]
        columns: list[tuple[str, ...]] = list(zip(*rows, strict=True))
        leaves = self.leaves(rows)
        carried: dict[tuple[str, str], Carried] = {}
        where = {call: index for index, call in enumerate(rows[0])}
        for call, user in zip(rows[0], rows[1], strict=True):
            for operand, _, data in _operands(self.graph, user):
                if operand in where:
                    carried.setdefault((operand, call), Carried(operand, call, data))
        scopes = [[place_of(self.graph.nodes[call]).scope for call in row] for row in rows]
        shared = any(
            self.graph.nodes[operand]["kind"] == "parameter" and operand not in where
            for call in rows[1]
            for operand, _, _ in _operands(self.graph, call)
            if not _is_private(self.graph, operand, dict.fromkeys(rows[1], 0))
        )
        outer = common(scope for row in scopes for scope in row)
        inner = [common(self.graph.nodes[call]["scope"] for call in row) for row in rows]
        numbers = [scope.removeprefix(outer).lstrip(".").split(".")[0] for scope in inner]
        numbered = all(numbers) and all(one != other for one, other in pairwise(numbers))
        run = Run(
            index,
            count,
            period,
            outer,
            (numbers[0], numbers[-1]) if numbered else ("", ""),
            tuple(carried.values()) if shared or not numbered else (),
        )
        return run, columns + leaves

    def leaves(self, rows: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
        """Return the private leaves of all repetitions, those of one place together."""
        found: list[dict[Descriptor, str]] = []
        for row in rows:
            users = dict.fromkeys(row, 0)
            found.append(
                {
                    (index, key): operand
                    for index, call in enumerate(row)
                    for operand, key, _ in _operands(self.graph, call)
                    if _is_private(self.graph, operand, users)
                }
            )
        places = [place for place in found[0] if all(place in own for own in found)]
        columns = [tuple(own[place] for own in found) for place in places]
        return list(dict.fromkeys(columns))
