"""What was measured of tensors, and the summaries made of it when the trace ends."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gradtrace.summary import Summary

__all__ = ["Reading", "array_of", "fetch", "summarize", "summarize_together", "type_name"]


class Reading:
    """What was measured of one tensor, on its way to a `Summary`."""

    shape: torch.Size
    dtype: torch.dtype
    device = torch.device("cpu")
    nested = False
    tensor: Tensor | None = None
    """The elements, or what holds them, where keeping them is cheaper than to reduce them now."""
    start: int | None = None
    """Where the elements begin in a tensor that holds those of many readings."""
    numbers: tuple[Any, ...] | None = None
    """Sum, norm, minimum, maximum and number of non-finite elements."""
    summary: Summary | None = None
    pointer = 0
    """Where the elements were, with the version they had: tells a tensor read before."""
    version = 0

    def is_of(self, tensor: Tensor) -> bool:
        """Tell whether this was read from the very elements of `tensor`, which is alive since."""
        if self.tensor is tensor:
            return True
        return self.pointer != 0 and (
            self.pointer == tensor.data_ptr() and self.version == tensor._version
        )

    def elements(self) -> Tensor | None:
        """Return the elements that were kept."""
        if self.tensor is None or self.start is None:
            return self.tensor
        return self.tensor[self.start : self.start + self.shape.numel()]

    def describe(self, tensor: Any) -> None:
        """Take shape, type and device from a tensor, or from what autograd knows of one.

        A nested tensor has the shape of all that it holds, joined.
        """
        self.dtype, self.device = tensor.dtype, tensor.device
        if getattr(tensor, "is_nested", False):
            self.shape, self.nested = tensor.detach().values().shape, True
        else:
            self.shape = tensor.shape


def fetch(readings: list[Reading]) -> None:
    """Move the numbers of all readings to the host, one transfer a device."""
    by_device: dict[torch.device, list[Reading]] = {}
    for reading in readings:
        by_device.setdefault(reading.device, []).append(reading)
    for group in by_device.values():
        rows = torch.stack([number for r in group for number in r.numbers or ()])
        for reading, row in zip(group, rows.cpu().reshape(-1, 5).tolist(), strict=True):
            reading.numbers = (*row[:4], int(row[4]))


def summarize(reading: Reading) -> Summary:
    """Return the summary of a tensor that was reduced in the step, or not measured at all."""
    shape, dtype, device = tuple(reading.shape), type_name(reading.dtype), str(reading.device)
    if reading.numbers is None:
        return Summary(shape, dtype, device)
    total, norm, low, high, bad = reading.numbers
    if low == high and not bad:
        return Summary(shape, dtype, device, norm, low, 0.0, low, high, bad)
    size = math.prod(shape)
    mean = total / size
    with np.errstate(all="ignore"):
        variance = (norm / math.sqrt(size)) ** 2 - mean**2
    std = math.sqrt(max(variance, 0.0)) if math.isfinite(variance) else variance
    return Summary(shape, dtype, device, norm, mean, std, low, high, bad)


def summarize_together(readings: list[Reading]) -> None:
    """Summarize many small copies with one reduction for all of them."""
    for reading in readings:
        if reading.shape.numel() == 0:
            reading.summary = Summary.of(
                np.empty(tuple(reading.shape)),
                dtype=type_name(reading.dtype),
                device=str(reading.device),
            )
    filled = [r for r in readings if r.tensor is not None and r.shape.numel()]
    groups: dict[tuple[torch.device, torch.dtype], list[Reading]] = {}
    for reading in filled:
        groups.setdefault((reading.device, reading.dtype), []).append(reading)
    for group in groups.values():
        _reduce_segments(group)


def _reduce_segments(group: list[Reading]) -> None:
    copies = [copy for reading in group if (copy := reading.elements()) is not None]
    joined = torch.cat([copy.reshape(-1) for copy in copies])
    joined = joined.abs() if joined.is_complex() else joined
    x = joined.double().cpu().numpy()
    sizes = np.array([copy.numel() for copy in copies])
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    with np.errstate(all="ignore"):
        largest = np.maximum.reduceat(np.abs(x), starts)
        scale = np.where((largest > 0) & np.isfinite(largest), largest, 1.0)
        scaled = x / np.repeat(scale, sizes)
        norm = np.sqrt(np.add.reduceat(scaled * scaled, starts)) * scale
        mean = np.add.reduceat(x, starts) / sizes
        centred = (x - np.repeat(mean, sizes)) ** 2
        std = np.sqrt(np.add.reduceat(centred, starts) / sizes)
    low, high = np.minimum.reduceat(x, starts), np.maximum.reduceat(x, starts)
    bad = sizes - np.add.reduceat(np.isfinite(x).astype(np.int64), starts)
    zeros = np.add.reduceat((x == 0).astype(np.int64), starts)
    columns = [column.tolist() for column in (norm, mean, std, low, high, bad, zeros)]
    for reading, *row in zip(group, *columns, strict=True):
        shape, device = tuple(reading.shape), str(reading.device)
        reading.summary = Summary(shape, type_name(reading.dtype), device, *row)


def array_of(tensor: Tensor | None) -> np.ndarray[Any, Any]:
    """Return the elements as NumPy has them; bfloat16 and narrower floats become float32."""
    assert tensor is not None
    host = tensor.resolve_conj().resolve_neg().cpu()
    if host.dtype is torch.complex32:
        host = host.to(torch.complex64)
    if host.is_floating_point() and host.dtype not in (torch.float64, torch.float32, torch.float16):
        host = host.float()
    return np.asarray(host.numpy())


_NAMES: dict[torch.dtype, str] = {}


def type_name(dtype: torch.dtype) -> str:
    """Return the name of a type as users know it, such as `float32`."""
    if dtype not in _NAMES:
        _NAMES[dtype] = str(dtype).removeprefix("torch.")
    return _NAMES[dtype]
