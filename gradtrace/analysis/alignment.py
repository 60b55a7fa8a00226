"""Find for each node of one graph its counterpart in another."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

import networkx as nx

from gradtrace.analysis.agreement import Tolerance, finite, judge_statistics, tolerance_of
from gradtrace.analysis.correspondences import operation
from gradtrace.analysis.diagnose.trunk import is_leaf
from gradtrace.analysis.flow import in_run_order, norm_of, parts_of

__all__ = ["Alignment", "align"]

ROUNDS = 4
"""How often what was aligned lately helps to align its neighbours."""

NEAR = 64
"""Nodes of about the same norm among which one of the same value is looked for."""


@dataclass
class Alignment:
    """Two graphs, with the pairs of their nodes, each with what it was found by."""

    a: nx.MultiDiGraph[str]
    b: nx.MultiDiGraph[str]
    left: list[str]
    """The nodes of `a`, in the order in which they ran; `right` those of `b`."""
    right: list[str]
    forth: dict[str, str] = field(default_factory=dict)
    back: dict[str, str] = field(default_factory=dict)
    by: dict[str, str] = field(default_factory=dict)

    def pair(self, one: str, other: str, by: str) -> None:
        """Align two nodes."""
        self.forth[one], self.back[other], self.by[one] = other, one, by


def align(a: nx.MultiDiGraph[str], b: nx.MultiDiGraph[str]) -> Alignment:
    """Align two graphs: leaves by name, calls by what they do to what, the rest by neighbours.

    Calls that do the same to the same operands are the same call, whatever their ids. Where the
    operands differ, as after a call that was put in between, the same id, parameter or user
    decides; then equal values, as where one engine makes in two calls what another makes in one;
    and at last the place, where another operation stands between the same neighbours.
    """
    found = Alignment(a, b, in_run_order(a), in_run_order(b))
    same = [node for node in found.left if node in b and _alike(a.nodes[node], b.nodes[node])]
    for node in same:
        if is_leaf(a.nodes[node]) and _shape(a, node) == _shape(b, node):
            found.pair(node, node, "id")
    _by_alias(found)
    if not any(is_leaf(a.nodes[node]) for node in found.forth):
        _by_rank(found)
    for _ in range(ROUNDS):
        before = len(found.forth)
        _grow(found)
        if len(found.forth) == before:
            break
    _by_order(found)
    for node in same:
        if node not in found.forth and node not in found.back:
            found.pair(node, node, "id")
    _grow(found)
    _by_value(found)
    _by_place(found)
    return found


def _alike(one: dict[str, Any], other: dict[str, Any]) -> bool:
    if is_leaf(one) or is_leaf(other):
        return is_leaf(one) and is_leaf(other)
    return operation(one.get("op")) == operation(other.get("op"))


def _grow(found: Alignment) -> None:
    """Align calls with the same operands, then those with one rare operand, or one user, alike."""
    _by_operands(found)
    for node in found.left:
        if node in found.forth or is_leaf(found.a.nodes[node]):
            continue
        other = _by_neighbour(found, node)
        if other is not None:
            found.pair(node, other, "id" if other == node else "structure")


def _by_operands(found: Alignment) -> None:
    waiting: dict[Hashable, dict[str, None]] = defaultdict(dict)
    for node in found.right:
        if node not in found.back and not is_leaf(found.b.nodes[node]):
            operands = [(u, k) for u, _, k in found.b.in_edges(node, keys=True)]
            waiting[operation(found.b.nodes[node].get("op")), *sorted(operands)][node] = None
    for node in found.left:
        if node in found.forth or is_leaf(found.a.nodes[node]):
            continue
        uses = [(found.forth.get(u, ""), k) for u, _, k in found.a.in_edges(node, keys=True)]
        fitting = waiting[operation(found.a.nodes[node].get("op")), *sorted(uses)] if uses else {}
        if fitting:
            other = _closest(node, found.a.nodes[node], fitting, found.b)
            del fitting[other]
            found.pair(node, other, "id" if other == node else "structure")


def _closest(
    node: str, data: dict[str, Any], fitting: dict[str, None], b: nx.MultiDiGraph[str]
) -> str:
    """Return the one with the same id, else with the same scope, else the first."""
    if node in fitting:
        return node
    scope = data.get("scope")
    scoped = (other for other in fitting if b.nodes[other].get("scope") == scope)
    return next(scoped, next(iter(fitting)))


def _by_neighbour(found: Alignment, node: str) -> str | None:
    """Return the counterpart of a call whose operands differ: it shares a weight or a user."""
    data = found.a.nodes[node]
    scores: dict[str, int] = defaultdict(int)
    for operand in set(found.a.predecessors(node)):
        counterpart = found.forth.get(operand)
        if counterpart is not None and found.a.out_degree(operand) <= 2:
            for other in found.b.successors(counterpart):
                scores[other] += 2 if is_leaf(found.a.nodes[operand]) else 1
    for _, user, key in found.a.out_edges(node, keys=True):
        counterpart = found.forth.get(user)
        if counterpart is not None:
            for other, _, position in found.b.in_edges(counterpart, keys=True):
                scores[other] += 2 * (position == key)
    if node in found.b:
        scores[node] += 1 if found.b.nodes[node].get("scope") == data.get("scope") else 0
    fitting = {
        other: score
        for other, score in scores.items()
        if other not in found.back and _alike(data, found.b.nodes[other])
    }
    if not fitting:
        return None
    best = max(fitting, key=lambda other: (fitting[other], other == node))
    return best if fitting[best] >= 2 else None


def _by_alias(found: Alignment) -> None:
    """Align leaves that have a name in common, as tied weights have several."""
    names = {
        name: node
        for node, data in found.b.nodes(data=True)
        if is_leaf(data) and node not in found.back
        for name in data.get("names") or ()
    }
    for node, data in found.a.nodes(data=True):
        if is_leaf(data) and node not in found.forth:
            other = next((names[n] for n in data.get("names") or () if n in names), None)
            if other is not None and other not in found.back:
                found.pair(node, other, "name")


def _by_rank(found: Alignment) -> None:
    """Align leaves of graphs with other names: the nth of a shape that is used in one way."""
    _in_order(found, lambda graph, node: (
        (_shape(graph, node), bool(graph.nodes[node].get("differentiable")))
        if is_leaf(graph.nodes[node])
        else None
    ))  # fmt: skip


def _by_order(found: Alignment) -> None:
    """Align what is left where both graphs have as many of an operation, shape and scope."""

    def scoped(graph: nx.MultiDiGraph[str], node: str) -> Hashable:
        data = graph.nodes[node]
        kind = "leaf" if is_leaf(data) else operation(data.get("op"))
        return kind, data.get("scope"), _shape(graph, node)

    def anywhere(graph: nx.MultiDiGraph[str], node: str) -> Hashable:
        data = graph.nodes[node]
        return None if is_leaf(data) else (operation(data.get("op")), _shape(graph, node))

    for key in (scoped, anywhere):
        _in_order(found, key)


def _in_order(
    found: Alignment,
    key: Callable[[nx.MultiDiGraph[str], str], Hashable],
) -> None:
    groups: list[dict[Hashable, list[str]]] = []
    for graph, order, taken in (
        (found.a, found.left, found.forth),
        (found.b, found.right, found.back),
    ):
        group: dict[Hashable, list[str]] = defaultdict(list)
        for node in order:
            name = None if node in taken else key(graph, node)
            if name is not None:
                group[name].append(node)
        groups.append(group)
    for name, nodes in groups[0].items():
        others = groups[1].get(name, [])
        if len(nodes) == len(others):
            for one, other in zip(nodes, others, strict=True):
                found.pair(one, other, "id" if one == other else "structure")


def _by_value(found: Alignment) -> None:
    """Align what is left by equal values, the latest first: a result stands for its last call."""
    rest: dict[Hashable, list[tuple[float, int, str]]] = defaultdict(list)
    for number, other in enumerate(found.right):
        norm = norm_of(found.b.nodes[other].get("value"))
        if other not in found.back and norm:
            rest[_shape(found.b, other)].append((norm, number, other))
    for group in rest.values():
        group.sort()
    for node in reversed(found.left):
        norm = norm_of(found.a.nodes[node].get("value"))
        if node in found.forth or not norm:
            continue
        group = rest[_shape(found.a, node)]
        near = group[bisect_left(group, (norm * 0.9,)) : bisect_right(group, (norm * 1.1,))]
        for _, _, other in sorted(near[:NEAR], key=lambda entry: -entry[1]):
            if other not in found.back and _same_value(found.a.nodes[node], found.b.nodes[other]):
                found.pair(node, other, "value")
                break


def _by_place(found: Alignment) -> None:
    """Align a call with the only one that has its operands, users and shape."""
    rest: dict[Hashable, list[str]] = defaultdict(list)
    for other in found.right:
        if other not in found.back and not is_leaf(found.b.nodes[other]):
            around = frozenset(found.b.predecessors(other)), frozenset(found.b.successors(other))
            rest[_shape(found.b, other), around].append(other)
    for node in found.left:
        if node in found.forth or is_leaf(found.a.nodes[node]):
            continue
        operands = frozenset(found.forth.get(each) for each in found.a.predecessors(node))
        users = frozenset(found.forth.get(each) for each in found.a.successors(node))
        others = rest[_shape(found.a, node), (operands, users)]
        if operands and users and len(others) == 1:
            found.pair(node, others.pop(), "place")


def _same_value(one: dict[str, Any], other: dict[str, Any]) -> bool:
    left, right = parts_of(one.get("value")), parts_of(other.get("value"))
    if len(left) != 1 or len(right) != 1 or is_leaf(one) != is_leaf(other):
        return False
    tolerance: Tolerance = tolerance_of(*left, *right)
    return bool(finite(left[0].norm)) and (
        judge_statistics(left[0], right[0], tolerance).verdict == "pass"
    )


def _shape(graph: nx.MultiDiGraph[str], node: str) -> tuple[Any, ...]:
    return tuple(part.shape for part in parts_of(graph.nodes[node].get("value")))
