"""Long chains of autograd nodes, let go without recursion.

PyTorch frees a chain of nodes that Python has seen by recursion, one level a node, and overflows
the stack at some 50,000. A node that is still held ends the recursion: so the nodes of a long run
are held until no tensor of the run lives, and are then let go one by one, the newest first.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable

from torch import Tensor
from torch.autograd.graph import Node

from gradtrace_torch.edges import node_of

__all__ = ["let_go"]

_DEEP = 5_000
"""Nodes up to which recursion does no harm."""

_held: list[tuple[list[weakref.ref[Tensor]], list[Node]]] = []
"""For each long run, the tensors that lead to its nodes, with the nodes in order."""


def let_go(nodes: list[Node], living: Callable[[], list[Tensor]]) -> None:
    """Let go of `nodes`, the oldest first, as soon as none of the `living` tensors leads to them.

    Whether that is so is looked at here only: at the end of each trace.
    """
    if len(nodes) > _DEEP:
        leading = [weakref.ref(tensor) for tensor in living() if node_of(tensor) is not None]
        _held.append((leading, nodes))
    for run in list(_held):
        leading, held = run
        if all(reference() is None for reference in leading):
            _held.remove(run)
            while held:
                held.pop()
