"""Fold the scopes of a graph into one node each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import networkx as nx

from gradtrace.analysis.fold import Fold
from gradtrace.analysis.scopes import Key, blocks, in_order, key_of, placed
from gradtrace.errors import OptionError
from gradtrace.tape import EdgeRecord, NodeRecord

__all__ = ["collapse"]


def collapse(
    graph: nx.MultiDiGraph[str], *, depth: int | None = None
) -> tuple[dict[str, Any], list[NodeRecord], list[EdgeRecord]]:
    """Return attributes, nodes and edges of `graph` with each scope at `depth` folded into a node.

    Depth 1 is the outermost; None folds each innermost scope. A module called twice becomes two
    folds. Uses of outside values stay edges, with their downstream gradients, and carry the
    product of the local derivatives along the fold. A scope is folded in several parts where one
    would close a cycle.

    Raises `OptionError` for a depth that is not one.
    """
    if depth is not None and not _is_depth(depth):
        raise OptionError(
            f"depth={depth!r} is not a depth; use an integer from 1, the outermost scopes, "
            "or None for each innermost one"
        )
    order = in_order(graph)
    known = placed(data for _, data in graph.nodes(data=True))
    keys = {
        node: key for node in order if (key := key_of(graph.nodes[node], depth, known)) is not None
    }
    nodes, edges = _assemble(graph, order, keys)
    return dict(graph.graph), nodes, edges


def _is_depth(depth: object) -> bool:
    return isinstance(depth, int) and not isinstance(depth, bool) and depth > 0


def _assemble(
    graph: nx.MultiDiGraph[str], order: list[str], keys: dict[str, Key]
) -> tuple[list[NodeRecord], list[EdgeRecord]]:
    names = _Names(node for node in order if node not in keys)
    folds = [
        Fold(graph, members, keys[members[0]], names.unique)
        for members in blocks(graph, order, keys)
        if members[0] in keys
    ]
    inside = {member: fold for fold in folds for member in fold.members}
    holders = {value: holder for fold in folds for value, holder in fold.holders.items()}
    nodes: list[NodeRecord] = [
        (node, dict(graph.nodes[node])) for node in order if node not in inside
    ]
    edges: list[EdgeRecord] = [
        (holders.get(operand, operand), result, key, dict(data))
        for operand, result, key, data in graph.edges(keys=True, data=True)
        if result not in inside
    ]
    for fold in folds:
        nodes += fold.nodes()
        edges += fold.edges(holders)
    nodes.sort(key=lambda record: record[1]["order"])
    return nodes, edges


class _Names:
    """Gives ids that no other node has, numbered from the second on."""

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = set(taken)
        self._counts: dict[str, int] = {}

    def unique(self, wanted: str) -> str:
        """Return `wanted`, with a number if it is taken, and without `:`."""
        base = name = wanted.replace(":", "_")
        while name in self._taken:
            self._counts[base] = self._counts.get(base, 1) + 1
            name = f"{base}_{self._counts[base]}"
        self._taken.add(name)
        return name
