"""How calls that look alike are wired: where each takes its operands from."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import networkx as nx

from gradtrace.render.pieces import LEAVES

__all__ = ["Descriptor", "Wiring", "continues", "is_private", "operands_of", "token", "wiring"]

Descriptor = tuple[object, ...]


def token(data: Mapping[str, Any]) -> Descriptor:
    """Return what calls have in common that look alike."""
    scope = re.sub(r"(^|\.)\d+(?=\.|$)", r"\1#", data["scope"])
    op = None if str(data["op"]).isdigit() else data["op"]
    return data["kind"], op, data.get("folded"), scope, _shapes(data["value"])


def _shapes(value: object) -> Descriptor:
    parts = value if isinstance(value, tuple) else (value,)
    return tuple(getattr(part, "shape", None) for part in parts)


@dataclass(frozen=True, slots=True)
class Wiring:
    """Where the operands in one repetition come from."""

    kinds: dict[Descriptor, Descriptor]
    """At each place: its own call, one of the repetition before, a leaf, or from outside."""
    operands: dict[Descriptor, str]


def continues(first: Wiring, second: Wiring) -> bool:
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


def wiring(
    graph: nx.MultiDiGraph[str], calls: Sequence[str], begin: int, period: int, repetition: int
) -> Wiring:
    """Return where the operands of each call in a repetition come from."""
    start = begin + repetition * period
    own = {call: index for index, call in enumerate(calls[start : start + period])}
    before = {call: index for index, call in enumerate(calls[max(start - period, 0) : start])}
    if repetition == 0:
        before = {}
    found = Wiring({}, {})
    for index, call in enumerate(own):
        for operand, key, data in operands_of(graph, call):
            near = operand in own or operand in before
            place = _place(index, key, data, graph.nodes[call], near=near)
            found.operands[place] = operand
            if operand in own:
                found.kinds[place] = "own", own[operand]
            elif operand in before:
                found.kinds[place] = "carried", before[operand]
            elif is_private(graph, operand, own):
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


def operands_of(graph: nx.MultiDiGraph[str], call: str) -> list[tuple[str, Any, Mapping[str, Any]]]:
    """Return the operands of a call with the keys and attributes of their edges, in order."""
    edges = sorted(graph.in_edges(call, keys=True, data=True), key=lambda edge: str(edge[2]))
    return [(operand, key, data) for operand, _, key, data in edges]


def is_private(graph: nx.MultiDiGraph[str], node: str, users: Mapping[str, int]) -> bool:
    """Tell whether a leaf is used by these calls alone."""
    if graph.nodes[node]["kind"] not in LEAVES:
        return False
    return all(user in users for user in graph.successors(node))
