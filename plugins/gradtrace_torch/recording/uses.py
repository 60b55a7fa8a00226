"""Which autograd nodes of a call pass the gradient back to its inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from torch import Tensor
from torch.autograd.graph import Node

from gradtrace_torch.edges import edge_of

__all__ = ["Edge", "Share", "Way", "edges_of", "uses_of"]

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


def edges_of(tensors: list[Tensor]) -> list[Edge]:
    """Return where the gradients of tensors arrive, each place once."""
    edges = dict.fromkeys(map(edge_of, tensors))
    return [edge for edge in edges if edge is not None]


def uses_of(results: list[Edge], given: list[Edge], since: int) -> dict[Edge, list[Edge]]:
    """Return for what a call was given the autograd nodes of it that use it, with the operand.

    Nodes made `since` there were so many belong to the call; 0 where that is not known.
    """
    edges: dict[Edge, list[Edge]] = {edge: [] for edge in given}
    oldest = since
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


class Way(NamedTuple):
    """How the gradient goes from the result of a module back to its one input.

    The core is the one node on it that does more than to reshape. What arrives at the core and
    departs from it has the same elements as at the ends of the way.
    """

    to_core: Path
    core_slot: int
    """The slot through which the gradient leaves the core; -1 where there is no such node."""
    from_core: Path
    slot: int
    """The slot of the last node through which it leaves the module."""

    @classmethod
    def between(cls, edge: Edge, node: Node) -> Way | None:
        """Return the shortest way from `node` to the use of what came from `edge`."""
        path = _path_to(edge, node, _DEEPEST)
        if path is None:
            return None
        depth = _depth_of_core(path, node)
        core_slot = -1 if depth is None else path[depth]
        return cls(path[: depth or 0], core_slot, path[depth or 0 : -1], path[-1])


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


def _depth_of_core(path: Path, node: Node) -> int | None:
    """Return after how many steps the one node comes that does more than to reshape, if so."""
    cores = []
    for depth, slot in enumerate(path):
        if node.name() not in _RESHAPES:
            cores.append(depth)
        node = node.next_functions[slot][0]  # type: ignore[assignment]
    return cores[0] if len(cores) == 1 else None
