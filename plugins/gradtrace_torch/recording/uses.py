"""Which autograd nodes of a call pass the gradient back to its inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.autograd.graph import Node

from gradtrace_torch.edges import edge_of, node_of

__all__ = [
    "Edge",
    "Path",
    "Share",
    "core_of",
    "follow",
    "node_at",
    "path_to",
    "uses_of",
]

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
                    if edge[0] is not None and edge[0].name() != "torch::autograd::AccumulateGrad"
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


def path_to(edge: Edge, node: Node, depth: int = _DEEPEST) -> Path | None:
    """Return the shortest path from `node` to the use of what came from `edge`."""
    for slot, use in enumerate(node.next_functions):
        if use == edge:
            return (slot,)
    if depth:
        for slot, (before, _) in enumerate(node.next_functions):
            rest = None if before is None else path_to(edge, before, depth - 1)
            if rest is not None:
                return (slot, *rest)
    return None


def core_of(path: Path, node: Node) -> int | None:
    """Return how far down `path` the one node is that does more than reshape; None if several do.

    Upstream and downstream gradient have the same elements there as at the ends.
    """
    names = [node_at(path[:depth], node).name() for depth in range(len(path))]
    cores = [depth for depth, name in enumerate(names) if name not in _RESHAPES]
    return cores[0] if len(cores) == 1 else None


def node_at(way: Path, node: Node) -> Node:
    """Return the node at the end of a way that is known to be there."""
    for slot in way:
        before: Any = node.next_functions[slot][0]
        node = before
    return node


def follow(path: Path, node: Node, tensor: Tensor) -> Node | None:
    """Return the node at the end of `path` if it uses `tensor`, as it did in another call."""
    *way, last = path
    user: Any = node
    for slot in way:
        before = user.next_functions
        user = before[slot][0] if slot < len(before) else None
        if user is None:
            return None
    before = user.next_functions
    if last < len(before) and before[last] == (node_of(tensor), tensor.output_nr):
        found: Node = user
        return found
    return None
