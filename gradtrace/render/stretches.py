"""Where calls are repeated: the same operations on the same shapes, wired alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

import networkx as nx
import numpy as np

from gradtrace.render.pieces import place_of
from gradtrace.render.runs import common
from gradtrace.render.wiring import Descriptor, continues, token, wiring

__all__ = ["Stretch", "find_stretches"]

LEAST = 3
"""Repetitions that are worth folding."""

LONGEST = 600
"""Calls of the longest repetition that is looked for."""


class Stretch(NamedTuple):
    """Where calls are repeated, by their numbers."""

    begin: int
    period: int
    """Calls of a repetition."""
    length: int
    """Calls of all repetitions."""
    lead: tuple[tuple[int, str], ...] = ()
    """A first step that has fewer calls: which call of a repetition each of its calls is."""

    @property
    def start(self) -> int:
        return self.begin - len(self.lead)

    @property
    def end(self) -> int:
        return self.begin + self.length


def find_stretches(graph: nx.MultiDiGraph[str], calls: Sequence[str]) -> list[Stretch]:
    """Return the stretches of repetitions among `calls`, none of which overlap."""
    found = [
        stretch for each in _candidates(graph, calls) if (stretch := _alike(graph, calls, each))
    ]
    return _disjoint(found)


def _candidates(graph: nx.MultiDiGraph[str], calls: Sequence[str]) -> Iterator[Stretch]:
    """Yield the stretches in which calls look alike, whatever their wiring."""
    numbers: dict[Descriptor, int] = {}
    tokens = np.array(
        [numbers.setdefault(token(graph.nodes[call]), len(numbers)) for call in calls], dtype=int
    )
    found: list[Stretch] = []
    for period in range(1, min(len(calls) // LEAST, LONGEST) + 1):
        equal = np.flatnonzero(np.diff(tokens[:-period] == tokens[period:], prepend=0, append=0))
        for begin, end in zip(equal[::2], equal[1::2], strict=True):
            stretch = Stretch(int(begin), period, int(end - begin) + period)
            if stretch.length >= LEAST * period and not any(
                _divides(each, stretch) for each in found
            ):
                found.append(stretch)
                yield stretch


def _divides(shorter: Stretch, longer: Stretch) -> bool:
    """Tell whether `longer` only takes several repetitions of `shorter` as one."""
    inside = shorter.begin <= longer.begin and longer.end <= shorter.end
    return inside and longer.period % shorter.period == 0


def _disjoint(stretches: Sequence[Stretch]) -> list[Stretch]:
    """Return stretches that do not overlap, those that save most calls first."""
    chosen: list[Stretch] = []
    for stretch in sorted(stretches, key=lambda s: (s.period - s.length, s.period, s.begin)):
        if all(stretch.end <= s.start or stretch.start >= s.end for s in chosen):
            chosen.append(stretch)
    return sorted(chosen)


def _alike(graph: nx.MultiDiGraph[str], calls: Sequence[str], stretch: Stretch) -> Stretch | None:
    """Return the longest part of a stretch whose repetitions are wired alike, if long enough."""
    begin, count, numbered = _aligned(graph, calls, stretch)
    period = stretch.period
    wired = [wiring(graph, calls, begin, period, repetition) for repetition in range(count)]
    longest = 0, 0
    for _, group in groupby(range(1, count), key=lambda repetition: wired[repetition].kinds):
        members = list(group)
        first = members[0]
        if continues(wired[first - 1], wired[first]):
            first -= 1
        longest = max(longest, (members[-1] + 1 - first, -first))
    if longest[0] < LEAST:
        return None
    begin -= longest[1] * period
    lead = () if numbered else _lead(graph, calls, begin, period)
    return Stretch(begin, period, longest[0] * period, lead)


def _aligned(
    graph: nx.MultiDiGraph[str], calls: Sequence[str], stretch: Stretch
) -> tuple[int, int, bool]:
    """Return where its repetitions begin, how many they are, and whether scopes number them.

    The calls before the first repetition may look like the end of one. So each begins with a
    numbered scope, if it can be, or else where least is carried over, as late as can be.
    """
    begin, period, length, _ = stretch
    scopes = [place_of(graph.nodes[call]).scope for call in calls[begin : stretch.end]]
    outer = common(scopes)
    for shift in range(period):
        left = (length - shift) // period
        inner = [common(scopes[shift + i * period : shift + (i + 1) * period]) for i in range(left)]
        if all(scope != outer for scope in inner):
            return begin + shift, left, True
    shifts = range(length % period + 1)
    carried = [_carried(graph, calls, begin + shift, period) for shift in shifts]
    shift = min(shifts, key=lambda each: (carried[each], -each))
    return begin + shift, length // period, False


def _carried(graph: nx.MultiDiGraph[str], calls: Sequence[str], begin: int, period: int) -> int:
    """Return how many values a repetition that begins there hands to the next."""
    first = set(calls[begin : begin + period])
    return len({
        operand
        for call in calls[begin + period : begin + 2 * period]
        for operand in graph.predecessors(call)
        if operand in first
    })  # fmt: skip


def _lead(
    graph: nx.MultiDiGraph[str], calls: Sequence[str], begin: int, period: int
) -> tuple[tuple[int, str], ...]:
    """Return the calls before the first repetition that are one with less: without a state yet.

    They are the calls of a repetition in its order, at least half of them, wired as there.
    """
    repetition = calls[begin : begin + period]
    own = {call: index for index, call in enumerate(repetition)}
    lead: dict[int, str] = {}
    index = period
    for call in reversed(calls[max(begin - period, 0) : begin]):
        while index and not _is_alike(graph, repetition[index - 1], call, own):
            index -= 1
        if not index:
            break
        index -= 1
        lead[index] = call
    wired = all(
        lead[own[operand]] in graph.pred[call]
        for index, call in lead.items()
        for operand in graph.predecessors(repetition[index])
        if own.get(operand) in lead
    )
    return tuple(sorted(lead.items())) if wired and 2 * len(lead) >= period else ()


def _is_alike(graph: nx.MultiDiGraph[str], call: str, other: str, own: Mapping[str, int]) -> bool:
    """Tell whether two calls look alike; items of a call of their own take the same part."""
    one, two = graph.nodes[call], graph.nodes[other]
    if token(one) != token(two):
        return False
    inner = one["kind"] == "item" and not own.keys().isdisjoint(graph.predecessors(call))
    return not inner or one["op"] == two["op"]
