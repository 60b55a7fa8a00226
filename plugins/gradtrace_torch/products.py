"""Norms of the local derivatives of matrix products, which are known without a probe.

With Y = A B of shape (n, p), a row of Y depends on the same row of A through B, and a column on the
same column of B through A: ‖∂Y/∂A‖² = n ‖B‖² and ‖∂Y/∂B‖² = p ‖A‖² (Giles 2008, section 2.2.2).
Pulling a probe back through large products would take as long as the backward pass.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from gradtrace_torch.live import LiveCall, LiveUse

__all__ = ["product_norms"]

_REARRANGES = frozenset(
    f"{name}Backward{number}"
    for name in "Permute Reshape ReshapeAlias Squeeze T Transpose UnsafeView Unsqueeze View".split()
    for number in (0, 1)
)
"""Nodes that give each element another place: they leave a Frobenius norm as it is."""


def _of_mm(node: Any) -> list[float | None]:
    *_, rows, columns = _result_shape(node)
    return [_times(rows, node._saved_mat2), _times(columns, node._saved_self)]


def _of_addmm(node: Any) -> list[float | None]:
    rows, columns = _result_shape(node)
    factors = _times(rows, node._saved_mat2), _times(columns, node._saved_mat1)
    scaled = [None if each is None else abs(node._saved_alpha) * each for each in factors]
    return [abs(node._saved_beta) * math.sqrt(rows * columns), *scaled]


_PRODUCTS: dict[str, Callable[[Any], list[float | None]]] = {
    "AddmmBackward0": _of_addmm,
    "BmmBackward0": _of_mm,
    "MmBackward0": _of_mm,
}
"""Norms for the slots of each node that is a product, None where its factor was not saved."""


def product_norms(call: LiveCall, uses: list[LiveUse]) -> list[float] | None:
    """Return the norm for each of `uses`, None where `call` is more than one matrix product."""
    products = [node for node in call.nodes if node.name() in _PRODUCTS]
    if len(products) != 1 or any(
        node.name() not in _REARRANGES for node in call.nodes if node is not products[0]
    ):
        return None
    slots = {use.slots[0]: i for i, use in enumerate(uses) if len(use.slots) == 1}
    inner = set(call.nodes)
    norms: dict[int, float] = {}
    for slot, norm in enumerate(_PRODUCTS[products[0].name()](products[0])):
        place: tuple[Any, int] = (products[0], slot)
        while place not in slots and place[0].next_functions[place[1]][0] in inner:
            place = (place[0].next_functions[place[1]][0], 0)
        if place in slots and norm is not None:
            norms[slots[place]] = norm
    return [norms[i] for i in range(len(uses))] if len(norms) == len(uses) else None


def _result_shape(node: Any) -> tuple[int, ...]:
    return tuple(node._input_metadata[0].shape)


def _times(count: int, factor: Tensor | None) -> float | None:
    """Return the norm of `count` times the same factor."""
    if factor is None:
        return None
    wide = None if factor.dtype in (torch.float32, torch.float64) else torch.float32
    return math.sqrt(count) * float(torch.linalg.vector_norm(factor, dtype=wide))
