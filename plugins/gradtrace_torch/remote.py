"""Reductions of tensors on a device, none of which the host waits for.

A tensor is read in parts that stay in the cache of a GPU, each in double precision: there no square
overflows, and a copy of the whole would take twice its memory. Operations are chosen for starting
few kernels: `vector_norm(x, 0)`, which counts what is not 0, is one where `count_nonzero` is two
and `isfinite` four.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from gradtrace_torch.elements import by_stride

__all__ = ["is_accelerated", "numbers_of", "precise", "settle", "split", "wide"]

_PART = 2**22
"""Elements of one part: 32 MB in double precision."""


def numbers_of(tensor: Tensor) -> tuple[Tensor, ...]:
    """Return sum, norm, minimum, maximum and number of non-finite elements, on the device.

    >>> [f"{number.item():.3g}" for number in numbers_of(torch.tensor([3e30, -4e30, 0.0]))]
    ['-1e+30', '5e+30', '-4e+30', '3e+30', '0']
    """
    found = [_numbers(wide(part)) for part in split(tensor)]
    if len(found) == 1:
        return found[0]
    totals, norms, lows, highs, bad = map(torch.stack, zip(*found, strict=True))
    return totals.sum(), torch.linalg.vector_norm(norms), lows.amin(), highs.amax(), bad.sum()


def _numbers(x: Tensor) -> tuple[Tensor, ...]:
    low, high = torch.aminmax(x)
    bad = torch.linalg.vector_norm(x * 0, 0)  # of what is not finite this is NaN
    return x.sum(), torch.linalg.vector_norm(x), low, high, bad


def split(tensor: Tensor) -> Iterator[Tensor]:
    """Yield all elements, magnitudes of complex ones, as many at a time as a part holds.

    Nothing larger than a part is copied, also where elements are not side by side.
    """
    for part in _pieces(by_stride(tensor)):
        yield part.abs() if part.is_complex() else part


def _pieces(tensor: Tensor) -> Iterator[Tensor]:
    if tensor.is_contiguous():
        yield from tensor.view(-1).split(_PART)
        return
    axis = max(range(tensor.dim()), key=lambda axis: tensor.shape[axis])
    several = max(1, _PART * tensor.shape[axis] // tensor.numel())
    for piece in tensor.split(several, axis):
        yield piece.reshape(-1)


def wide(part: Tensor) -> Tensor:
    """Return elements as precise as their device computes with them."""
    return part.to(precise(part.device))


def precise(device: torch.device) -> torch.dtype:
    """Return the most precise type that a device has; Apple's have no double precision."""
    return torch.float32 if device.type == "mps" else torch.float64


def is_accelerated(device: torch.device) -> bool:
    """Tell whether a device works in streams, while the host goes on."""
    accelerator = torch.accelerator.current_accelerator()
    return accelerator is not None and accelerator.type == device.type != "mps"


def settle(device: torch.device) -> None:
    """Wait for all that a device was given to do, in any of its streams."""
    if is_accelerated(device):
        torch.accelerator.synchronize(device)
