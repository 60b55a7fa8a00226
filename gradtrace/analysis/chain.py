"""Accumulate local derivatives along the ways through some calls, from the last back."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import networkx as nx

from gradtrace.analysis.parts import joined_shape
from gradtrace.analysis.product import add, compose, inject, unknown, zero
from gradtrace.derivative import LocalDerivative

__all__ = ["accumulate", "through"]

Shape = tuple[int, ...]


def accumulate(
    graph: nx.MultiDiGraph[str], members: Sequence[str], border: Mapping[str, Shape]
) -> dict[str, LocalDerivative]:
    """Return the derivative of the border, taken as one, by each member that it depends on.

    `members` go from operands to results; `border` has the shape of each member that is a result
    of them all, in the same order.
    """
    found: dict[str, LocalDerivative] = {}
    result = joined_shape(list(border.values()))
    offset = sum(map(math.prod, border.values()))
    for member in reversed(members):
        ways = _ways(graph, member, found, result)
        if member in border:
            offset -= math.prod(border[member])
            ways.append(inject(result, border[member], offset))
        if ways:
            whole = ways[0]
            for way in ways[1:]:
                whole = add(whole, way)
            note = graph.nodes[member]["note"]
            found[member] = unknown(result, whole.operand_shape, note) if note else whole
    return found


def _ways(
    graph: nx.MultiDiGraph[str], member: str, found: Mapping[str, LocalDerivative], result: Shape
) -> list[LocalDerivative]:
    """Return the derivative of the border along each use of `member` inside."""
    uses = graph.out_edges(member, data=True)
    ways = [through(found[user], data, result) for _, user, data in uses if user in found]
    return [way for way in ways if way is not None]


def through(
    outer: LocalDerivative | None, edge: Mapping[str, Any], result: Shape
) -> LocalDerivative | None:
    """Return the derivative of a far result by the operand of `edge`, None where nothing flows.

    `outer` is its derivative by the near result, None if it does not depend on that.
    """
    inner: LocalDerivative | None = edge["local_derivative"]
    share = edge["downstream_gradient"]
    flows = share is not None and share.norm != 0
    if inner is None:
        return unknown(result, share.shape, "a factor of it was not recorded") if flows else None
    if outer is None:
        reason = "the way that its gradient took was not recorded"
        shape = inner.operand_shape
        return unknown(result, shape, reason) if flows else zero(result, shape)
    if math.prod(outer.operand_shape) != math.prod(inner.result_shape):
        return unknown(result, inner.operand_shape, "its factors have shapes that do not chain")
    return compose(outer, inner)
