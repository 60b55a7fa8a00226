"""Which tensors are small enough that one call measures many of them, later in the step."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from gradtrace.recording.ledger import Page
from gradtrace_torch.recording.reductions import measure, table_of

__all__ = ["SMALL", "is_small", "measure_together"]

SMALL = 4096
"""Elements up to which a tensor is kept, to be measured with others."""

_MANY = 16
"""Tensors from which on it is cheaper to measure them together."""

_BYTES = 8 * SMALL
"""Bytes of memory up to which a tensor is kept: a small view may hold a large one."""


def is_small(tensor: Tensor) -> bool:
    """Tell whether a tensor is small and plain, and has elements at all."""
    return (
        0 < tensor.numel() <= SMALL
        and type(tensor) is Tensor
        and tensor.dtype is torch.float32
        and tensor.is_cpu
        and tensor.layout is torch.strided
        and not tensor._is_zerotensor()
        and not tensor.is_inference()
        and (not tensor._is_view() or _keeps_little(tensor))
    )


def _keeps_little(view: Tensor) -> bool:
    return not view.is_neg() and view.untyped_storage().nbytes() <= _BYTES


def measure_together(small: Sequence[tuple[int, Tensor]]) -> Page:
    """Return the statistics of small tensors, each with its slot; see `measure`.

    >>> measure_together([(7, torch.tensor([3.0, -4.0]))]).rows[0][1][:5]
    (2.0, -1.0, 25.0, -4.0, 3.0)
    """
    tensors = [tensor for _, tensor in small]
    if len(small) < _MANY or not all(map(Tensor.data_ptr, tensors)):
        rows = ((slot, measure(tensor)) for slot, tensor in small)
        return Page([(slot, row) for slot, row in rows if row is not None])
    table = table_of([each if each.is_contiguous() else each.contiguous() for each in tensors])
    return Page(tables=[([slot for slot, _ in small], table)])
