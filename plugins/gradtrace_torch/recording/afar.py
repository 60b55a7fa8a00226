"""Statistics of a tensor on a device, as numbers that are on their way: nothing waits for them."""

from __future__ import annotations

import math
from operator import add
from typing import Any

import torch
from torch import Tensor

from gradtrace.recording.ledger import Row
from gradtrace.recording.observer import NEAR
from gradtrace_torch.remote import is_accelerated, precise, split, wide

__all__ = ["Streams", "exponents_of", "row_afar"]

_INFINITE = 0x7F800000
"""The bits of an infinite float32; those of a NaN are more."""

Cell = Any
"""A tensor of one number, or NaN."""


def row_afar(x: Tensor, *, extremes: bool, zeros: bool, ends: tuple[float, float] | None) -> Row:
    """Return the statistics of `x`, a tensor each.

    Minimum and maximum of elements of which none is finite are infinite, the maximum below.
    """
    first, *rest = (_cells(wide(part), extremes, zeros, ends) for part in split(x))
    for cells in rest:
        first = [join(a, b) for join, a, b in zip(_JOINED, first, cells, strict=True)]
    return (float(x.numel()), *first)


def _cells(x: Tensor, extremes: bool, zeros: bool, ends: tuple[float, float] | None) -> list[Cell]:
    """Return sum, sum of squares, minimum, maximum, zeros, non-finite, saturated, NaN elements."""
    finite = torch.nan_to_num(x, 0.0, 0.0, 0.0)
    total: Cell = math.nan
    low: Cell = math.nan
    high: Cell = math.nan
    none: Cell = math.nan
    near: Cell = math.nan
    if extremes:
        total = finite.sum()
        low = torch.nan_to_num(x, math.inf, math.inf, math.inf).amin()
        high = torch.nan_to_num(x, -math.inf, -math.inf, -math.inf).amax()
    if zeros:
        none = x.numel() - torch.linalg.vector_norm(x, 0)
    if ends is not None:
        margin = (ends[1] - ends[0]) * NEAR
        near = (x < ends[0] + margin).sum() + (x > ends[1] - margin).sum()
    bad = torch.linalg.vector_norm(x - finite, 0)
    sumsq = torch.linalg.vector_norm(finite).square()
    return [total, sumsq, low, high, none, bad, near, torch.isnan(x).sum()]


def _least(a: Cell, b: Cell) -> Cell:
    return torch.minimum(a, b) if isinstance(a, Tensor) else a


def _largest(a: Cell, b: Cell) -> Cell:
    return torch.maximum(a, b) if isinstance(a, Tensor) else a


_JOINED = (add, add, _least, _largest, add, add, add, add)
"""How two parts of a tensor give the cells of the whole."""


def exponents_of(x: Tensor) -> Tensor:
    """Return how many elements have each of the 256 exponents of a float32; NaN has none.

    Sorting gives the same in every mode of torch and waits for nothing, as `histc` and `bincount`
    do not.
    """
    counts = torch.zeros(256, dtype=precise(x.device), device=x.device)
    every = torch.arange(256, dtype=torch.uint8, device=x.device)
    for part in split(x):
        bits = part.float().abs().view(torch.int32)
        exponents = (bits >> 23).to(torch.uint8).sort().values
        up_to = torch.searchsorted(exponents, every, right=True)
        counts += torch.diff(up_to, prepend=up_to.new_zeros(1))
        counts[-1] -= (bits > _INFINITE).sum()
    return counts


class Streams:
    """The streams in which something was measured, for whoever reads it in another."""

    def __init__(self) -> None:
        self._met: set[torch.Stream] = set()

    def note(self, tensor: Tensor) -> None:
        """Remember the stream in which `tensor` is measured now."""
        if not tensor.is_cpu and is_accelerated(tensor.device):
            self._met.add(torch.accelerator.current_stream(tensor.device))

    def join(self) -> None:
        """Let what is done next come after all that was measured; the host goes on."""
        for stream in self._met:
            current = torch.accelerator.current_stream(stream.device)
            if current != stream:
                current.wait_stream(stream)
        self._met.clear()
