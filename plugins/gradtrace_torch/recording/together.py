"""Which tensors are small enough that one call measures many of them, later in the step."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from gradtrace.recording.ledger import Table
from gradtrace.recording.sample import FIELDS
from gradtrace_torch.recording.reductions import measure, table_of

__all__ = ["SMALL", "is_small", "measure_together"]

SMALL = 4096
"""Elements up to which a tensor is kept, to be measured with others."""

_MANY = 16
"""Tensors from which on it is cheaper to measure them together."""

_BYTES = 8 * SMALL
"""Bytes of memory up to which a tensor is kept: a small view may hold a large one."""

_UNKNOWN = (math.nan,) * len(FIELDS)
"""The row of a tensor whose memory was freed before it was measured."""


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


def measure_together(tensors: Sequence[Tensor]) -> Table:
    """Return the statistics of tensors, all of them small, a row each; see `measure`.

    >>> measure_together([torch.tensor([3.0, -4.0]), torch.ones(9)])[:, :5]
    array([[ 2., -1., 25., -4.,  3.],
           [ 9.,  9.,  9.,  1.,  1.]])
    """
    if len(tensors) < _MANY or not all(map(Tensor.data_ptr, tensors)):
        return np.array([measure(each) or _UNKNOWN for each in tensors])
    return table_of([each if each.is_contiguous() else each.contiguous() for each in tensors])
