"""Which autograd nodes of a call pass the gradient back to its inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.autograd.graph import Node

from gradtrace_torch.edges import GATHERS, edge_of, node_of

__all__ = ["Edge", "Share", "Way", "uses_of"]

Edge = tuple[Any, int]
"""An autograd node with one of its outputs in the forward pass, or one of its operands."""

Path = tuple[int, ...]
"""Operands to follow from the node that made a result back to the one that used an input."""

_DEEPEST = 6

_RESHAPES = frozenset({"ViewBackward0", "UnsafeViewBackward0", "ReshapeAliasBackward0"})


class Share:
    """The gradient that a module passes back to one input, through all its uses of it."""

    def __init__(self, done: Callable[[Tensor], None], uses: int) -> None:
        self._done = done
        self._uses = uses
        self._left = uses
        self._sum: Tensor | None = None

    def add(self, gradient: Tensor | None) -> None:
        """Take the share of one use."""
        self._left -= 1
        if gradient is not None:
            self._sum = gradient if self._sum is None else self._sum + gradient
        if self._left == 0:
            total, self._sum, self._left = self._sum, None, self._uses
            if total is not None:
                self._done(total)


def uses_of(
    results: list[Edge], inputs: list[Tensor], outputs: list[Tensor], since: int
) -> dict[Edge, list[Edge]]:
    """Return for each input the autograd nodes of the call that use it, with the operand.

    Nodes made `since` there were so many belong to the call; 0 where that is not known.
    """
    edges: dict[Edge, list[Edge]] = {}
    oldest = since
    for tensor in inputs:
        if any(tensor is output for output in outputs) and tensor._version:
            node: Any = node_of(tensor)  # written in place: it used what the tensor was before
            if node is not None and node._sequence_nr() >= since:
                return {
                    edge: [(node, slot)]
                    for slot, edge in enumerate(node.next_functions)
                    if edge[0] is not None and edge[0].name() != GATHERS
                }
        given = edge_of(tensor)
        if given is not None:
            edges[given] = []
    if not since and edges:
        known = [edge[0]._sequence_nr() for edge in edges if edge[0].next_functions]
        oldest = min(known, default=0)
    pending = [node for node, number in results if (node, number) not in edges]
    met = set(pending)
    while pending and edges:
        node = pending.pop()
        for slot, edge in enumerate(node.next_functions):
            if edge in edges:
                edges[edge].append((node, slot))
            elif edge[0] is not None and edge[0] not in met and edge[0]._sequence_nr() >= oldest:
                met.add(edge[0])
                pending.append(edge[0])
    return {edge: places for edge, places in edges.items() if places}


class Way:
    """How the gradient went from the result of a module back to its one input, in the last call."""

    def __init__(self, path: Path, node: Node) -> None:
        *self._before, self.slot = path
        """The slot of the last node through which the gradient leaves the module."""
        self._to_core = _core_of(path, node)
        self.core_slot = -1 if self._to_core is None else path[len(self._to_core)]
        """Likewise of the one node that does more than to reshape; -1 if several do.

        What arrives there and departs has the same elements as at the ends of the way.
        """

    @classmethod
    def between(cls, edge: Edge, node: Node) -> Way | None:
        """Return the shortest way from `node` to the use of what came from `edge`."""
        path = _path_to(edge, node, _DEEPEST)
        return None if path is None else cls(path, node)

    def end(self, node: Node, tensor: Tensor) -> Node | None:
        """Return the last node of the way, if it leads from `node` to a use of `tensor`."""
        user: Any = node
        for slot in self._before:
            before = user.next_functions
            user = before[slot][0] if slot < len(before) else None
            if user is None:
                return None
        before = user.next_functions
        if self.slot < len(before) and before[self.slot] == (node_of(tensor), tensor.output_nr):
            found: Node = user
            return found
        return None

    def core(self, node: Node) -> Node:
        """Return the one node that does more than to reshape."""
        return _node_at(self._to_core or (), node)


def _path_to(edge: Edge, node: Node, depth: int) -> Path | None:
    for slot, use in enumerate(node.next_functions):
        if use == edge:
            return (slot,)
    if depth:
        for slot, (before, _) in enumerate(node.next_functions):
            rest = None if before is None else _path_to(edge, before, depth - 1)
            if rest is not None:
                return (slot, *rest)
    return None


def _core_of(path: Path, node: Node) -> Path | None:
    """Return the way to the one node that does more than to reshape, None if several do."""
    names = [_node_at(path[:depth], node).name() for depth in range(len(path))]
    cores = [depth for depth, name in enumerate(names) if name not in _RESHAPES]
    return path[: cores[0]] if len(cores) == 1 else None


def _node_at(way: Path, node: Node) -> Node:
    for slot in way:
        before: Any = node.next_functions[slot][0]
        node = before
    return node
