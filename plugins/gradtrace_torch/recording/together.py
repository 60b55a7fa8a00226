"""Statistics of many small tensors, for which one reduction does the work of all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gradtrace.recording.ledger import Row
from gradtrace_torch.recording.reductions import measure

__all__ = ["is_small", "measure_together"]

_SMALL = 4096
"""Elements up to which a tensor is cheaper to copy than to reduce."""

_MANY = 16
"""Small tensors from which on it is cheaper to reduce them together."""

_BYTES = 8 * _SMALL
"""Bytes of memory up to which a tensor is kept: a small view may hold a large one."""


def is_small(tensor: Tensor) -> bool:
    """Tell whether a tensor is small and plain, and has elements at all."""
    return (
        0 < tensor.numel() <= _SMALL
        and type(tensor) is Tensor
        and tensor.dtype is torch.float32
        and tensor.is_cpu
        and tensor.layout is torch.strided
        and not tensor._is_zerotensor()
        and not tensor.is_inference()
        and (not tensor._is_view() or tensor.untyped_storage().nbytes() <= _BYTES)
    )


def measure_together(tensors: Sequence[Tensor], *, zeros: bool = False) -> list[Row | None]:
    """Return the statistics of each tensor, all of them small; see `measure`.

    >>> row, _ = measure_together([torch.tensor([3.0, -4.0]), torch.ones(9)])
    >>> row[:5]
    (2.0, nan, 25.0, -4.0, 3.0)
    """
    if len(tensors) < _MANY:
        return [measure(tensor, extremes=True, zeros=zeros) for tensor in tensors]
    rows = _together(tensors, zeros=zeros)
    for place, row in enumerate(rows):
        if row is None:  # not finite
            rows[place] = measure(tensors[place], extremes=True, zeros=zeros)
    return rows


def _together(tensors: Sequence[Tensor], *, zeros: bool) -> list[Row | None]:
    x = torch.cat([t if t.dim() == 1 else t.reshape(-1) for t in tensors]).numpy(force=True)
    sizes = tuple([tensor.numel() for tensor in tensors])
    starts = _starts(sizes)
    wide = x.astype(np.float64)
    sums = np.add.reduceat(wide * wide, starts).tolist()
    low = np.minimum.reduceat(x, starts).tolist()
    high = np.maximum.reduceat(x, starts).tolist()
    none = (
        np.add.reduceat((x == 0).view(np.int8), starts, dtype=np.float64).tolist()
        if zeros
        else None
    )
    nan = math.nan
    return [
        (float(size), nan, sumsq, low[i], high[i], nan if none is None else none[i], 0.0, nan, 0.0)
        if math.isfinite(sumsq)
        else None
        for i, (size, sumsq) in enumerate(zip(sizes, sums, strict=True))
    ]


@lru_cache(maxsize=64)
def _starts(sizes: tuple[int, ...]) -> npt.NDArray[Any]:
    return np.concatenate([[0], np.cumsum(sizes)[:-1]])
