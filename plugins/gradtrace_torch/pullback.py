"""The pullback of one call, from the call's own autograd nodes.

The nodes are applied directly, outside autograd's engine: no operation is run again, no hook of
the user's is called, and each slot of each node gives its own share, so that the two uses in
`x * x` are told apart.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import Node

from gradtrace_torch.live import Edge, LiveCall, LiveUse, LiveValue
from gradtrace_torch.nodes import in_backward_order

__all__ = ["Pullback", "Shares", "device_of", "filled"]

Shares = list[Tensor | None]
"""Downstream gradients, one for each use of a call that a gradient comes back through."""


BATCH = 2**24
"""Elements of cotangents that are pulled back at once."""


class Pullback:
    """The map from cotangents of a call's results to shares of its uses."""

    def __init__(self, call: LiveCall, results: list[LiveValue], uses: list[LiveUse]) -> None:
        self.call = call
        self.results = results
        self.uses = uses
        self._nodes = in_backward_order(call.nodes)
        self._inner = set(self._nodes)
        self._index = {place: i for i, use in enumerate(uses) for place in use.slots}

    def __call__(self, cotangents: list[Tensor]) -> Shares:
        shares: Shares = [None] * len(self.uses)
        arriving: dict[Edge, Tensor] = {}
        for value, cotangent in zip(self.results, cotangents, strict=True):
            assert value.edge is not None
            arriving[value.edge] = cotangent
        for node in self._nodes:
            count = len(node._input_metadata)
            gradients = [arriving.pop((node, i), None) for i in range(count)]
            if all(gradient is None for gradient in gradients):
                continue
            for slot, share in enumerate(_apply(node, gradients)):
                if share is not None:
                    self._pass_on(node, slot, share, shares, arriving)
        return shares

    def _pass_on(
        self, node: Node, slot: int, share: Tensor, shares: Shares, arriving: dict[Edge, Tensor]
    ) -> None:
        index = self._index.get((node, slot))
        if index is not None:
            value = self.uses[index].value
            shares[index] = _plus(shares[index], _fitted(share, value.shape, value.dtype))
            return
        edge = node.next_functions[slot]
        if edge[0] in self._inner:
            metadata = edge[0]._input_metadata[edge[1]]
            share = _fitted(share, metadata.shape, metadata.dtype)
            arriving[edge] = _plus(arriving.get(edge), share)

    def jacobians(self, chosen: list[int], *, batched: bool) -> list[Tensor]:
        """Return the Jacobians of the chosen uses, shape (rows, *operand)."""
        sizes = [math.prod(value.shape) for value in self.results]
        rows = sum(sizes)

        def one(cotangent: Tensor) -> tuple[Tensor, ...]:
            parts = [
                part.reshape(tuple(value.shape)).to(value.dtype)
                for part, value in zip(cotangent.split(sizes), self.results, strict=True)
            ]
            shares = self(parts)
            return tuple(filled(shares[i], self.uses[i].value, cotangent) for i in chosen)

        basis = torch.eye(rows, dtype=self.results[0].dtype, device=device_of(self.results[0]))
        widest = max(rows, *(math.prod(use.value.shape) for use in self.uses), 1)
        blocks = basis.split(max(1, BATCH // widest))
        mapped = [_batched(one, block) if batched else _looped(one, block) for block in blocks]
        whole = zip(*mapped, strict=True)
        return [parts[0] if len(parts) == 1 else torch.cat(parts) for parts in whole]


def filled(share: Tensor | None, value: LiveValue, like: Tensor) -> Tensor:
    """Return `share`, as zeros where there is none."""
    if share is None:
        return like.new_zeros(tuple(value.shape), dtype=value.dtype)
    return share.detach()


def _batched(one: Callable[[Tensor], tuple[Tensor, ...]], rows: Tensor) -> tuple[Tensor, ...]:
    return tuple(torch.func.vmap(one, randomness="different")(rows))


def _looped(one: Callable[[Tensor], tuple[Tensor, ...]], rows: Tensor) -> tuple[Tensor, ...]:
    return tuple(torch.stack(shares) for shares in zip(*map(one, rows), strict=True))


def _apply(node: Node, gradients: list[Tensor | None]) -> tuple[Tensor | None, ...]:
    """Run one node backward, outside autograd's engine."""
    if isinstance(node, torch.autograd.function.BackwardCFunction):
        filled = [_zeros(node, i) if g is None else g for i, g in enumerate(gradients)]
        found = node.apply(*filled)
        return _in_slots(node, found if isinstance(found, tuple) else (found,))
    found = node(*gradients)  # type: ignore[operator]
    return found if isinstance(found, tuple) else (found,)


def _in_slots(node: Any, found: tuple[Tensor | None, ...]) -> tuple[Tensor | None, ...]:
    """Put what a custom function returned, one for each argument, into the node's slots.

    Arguments that are no tensors have no slot; the slots that lead on are, in order, those of
    the arguments that need a gradient.
    """
    pairs = zip(found, node.needs_input_grad, strict=False)
    wanted = iter([share for share, needed in pairs if needed])
    return tuple(None if edge[0] is None else next(wanted) for edge in node.next_functions)


def _zeros(node: Node, number: int) -> Tensor:
    metadata = node._input_metadata[number]
    return torch.zeros(tuple(metadata.shape), dtype=metadata.dtype, device=metadata.device)


def device_of(value: LiveValue) -> torch.device:
    """Return where the gradient of `value` lives."""
    assert value.edge is not None
    return value.edge[0]._input_metadata[value.edge[1]].device  # type: ignore[no-any-return]


def _fitted(share: Tensor, shape: Any, dtype: torch.dtype) -> Tensor:
    """Return `share` summed to `shape` and cast, as autograd's engine does between nodes."""
    if share._is_zerotensor():
        share = torch.zeros(share.shape, dtype=share.dtype, device=share.device)
    if share.shape != shape:
        share = share.sum_to_size(tuple(shape))
    return share if share.dtype is dtype else share.to(dtype)


def _plus(first: Tensor | None, second: Tensor) -> Tensor:
    return second if first is None else first + second
