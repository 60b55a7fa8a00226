"""Fast reductions from tensors to summaries.

What runs in the training step is three passes over a large tensor. Small tensors are only
remembered, copied together before anything can overwrite them, and reduced together at the end.
Numbers that live on a device are fetched together then: nothing in the step waits for the device.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gradtrace.summary import SMALL, Summary

__all__ = ["Meter", "Reading"]

_SAFE = {torch.float32: (1e-15, 1e15), torch.float64: (1e-140, 1e140)}
"""Magnitudes between which squares neither underflow nor overflow."""

_BORROWED = 16 * SMALL
"""Bytes of storage up to which a small tensor is borrowed; a small view may hold a large one."""

_WHOLE = frozenset({torch.float32, torch.float64})


class Reading:
    """What was measured of one tensor, on its way to a `Summary`."""

    shape: torch.Size
    dtype: torch.dtype
    device = torch.device("cpu")
    tensor: Tensor | None = None
    """The elements, where it is cheaper to keep them than to reduce them now."""
    numbers: tuple[Any, ...] | None = None
    """Sum, norm, minimum, maximum and number of non-finite elements."""
    zeros: Any = None
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

    def describe(self, tensor: Any) -> None:
        """Take shape, type and device from a tensor, or from what autograd knows of one."""
        self.shape, self.dtype, self.device = tensor.shape, tensor.dtype, tensor.device


class Meter:
    """Measures tensors as `keep` says, and resolves all readings at the end."""

    def __init__(self, keep: str) -> None:
        self.keep = keep
        self.limit = {"summary": 0, "small": SMALL, "all": math.inf}[keep]
        self._borrowed: list[tuple[Reading, Tensor, int]] = []
        """Readings that share the user's tensor, with its version when it was read."""
        self._whole: list[Reading] = []
        self._remote: list[Reading] = []

    def read(
        self, reading: Reading, tensor: Tensor, *, own: bool = False, like: Reading | None = None
    ) -> None:
        """Measure `tensor` now; a small one is borrowed until `secure`, or owned if told.

        Where `tensor` is a view of all elements of which `like` was read, nothing is measured.
        """
        if not own and _is_simple(tensor):
            reading.shape, reading.dtype = tensor.shape, tensor.dtype
            reading.tensor = tensor
            self._borrowed.append((reading, tensor, tensor._version))
            return
        reading.describe(tensor)
        with torch.no_grad():
            plain = tensor if type(tensor) is Tensor else _plain(tensor)
            if plain is not None and not plain.is_meta:
                self._measure(reading, plain, like)

    def _measure(self, reading: Reading, tensor: Tensor, like: Reading | None) -> None:
        if tensor.layout is not torch.strided or _is_odd(tensor):
            tensor = _stored(tensor, dense=self.keep != "summary")
        elif not tensor.is_inference():
            reading.pointer, reading.version = tensor.data_ptr(), tensor._version
        size = tensor.numel()
        if size <= SMALL or size <= self.limit:
            reading.tensor = tensor.clone()
            self._whole.append(reading)
        elif like is not None and like.numbers is not None and _same_elements(like, tensor):
            reading.numbers, reading.zeros = like.numbers, like.zeros
            if not tensor.is_cpu:
                self._remote.append(reading)
        else:
            self._reduce(reading, tensor)

    def secure(self) -> None:
        """Copy what is borrowed, before it is overwritten."""
        groups: dict[torch.dtype, list[tuple[Reading, Tensor]]] = {}
        for reading, tensor, version in self._borrowed:
            if tensor._version == version:
                groups.setdefault(reading.dtype, []).append((reading, tensor))
            else:  # overwritten where nobody could see it: not computed
                reading.tensor = None
        self._borrowed.clear()
        with torch.no_grad():
            for group in groups.values():
                self._copy_together(group)

    def _copy_together(self, group: list[tuple[Reading, Tensor]]) -> None:
        joined = torch.cat([t if t.dim() == 1 else t.reshape(-1) for _, t in group])
        pieces = joined.split([tensor.numel() for _, tensor in group])
        for (reading, _), piece in zip(group, pieces, strict=True):
            reading.tensor = piece
            self._whole.append(reading)

    def _reduce(self, reading: Reading, tensor: Tensor) -> None:
        flat = _flat(tensor)
        low, high = torch.aminmax(flat)
        if flat.is_cpu:
            lowest, highest = low.item(), high.item()
            reading.numbers = _sums(flat, lowest, highest)
            return
        wide = flat if flat.dtype is torch.float64 else flat.double()
        finite = torch.isfinite(flat).sum()
        zeros = flat.numel() - torch.count_nonzero(flat)
        norm = torch.linalg.vector_norm(wide)
        reading.numbers = (wide.sum(), norm, low, high, flat.numel() - finite, zeros)
        self._remote.append(reading)

    def resolve(self) -> None:
        """Turn every reading into its summary, moving what lives on a device once."""
        self.secure()
        _fetch(self._remote)
        self._remote.clear()
        kept = [reading for reading in self._whole if math.prod(reading.shape) <= self.limit]
        for reading in kept:
            reading.summary = Summary.of(
                _to_numpy(reading.tensor).reshape(reading.shape),
                keep=True,
                dtype=_name(reading.dtype),
                device=str(reading.device),
            )
        _reduce_together([reading for reading in self._whole if reading.summary is None])
        for reading in self._whole:
            reading.tensor = None
        self._whole.clear()

    def summary(self, reading: Reading | None) -> Summary | None:
        """Return the summary of a resolved reading."""
        if reading is None:
            return None
        if reading.summary is None:
            reading.summary = _summary(reading)
        return reading.summary


def _is_simple(tensor: Tensor) -> bool:
    """Tell whether a tensor is small and plain, so that it can be borrowed."""
    return (
        type(tensor) is Tensor
        and tensor.is_cpu
        and tensor.numel() <= SMALL
        and tensor.layout is torch.strided
        and not (tensor.is_nested or tensor._is_zerotensor() or tensor.is_inference())
        and not tensor.is_quantized
        and tensor.untyped_storage().nbytes() <= _BORROWED
    )


def _same_elements(like: Reading, tensor: Tensor) -> bool:
    return like.dtype is tensor.dtype and like.shape.numel() == tensor.numel() and like.is_of(tensor)


def _is_odd(tensor: Tensor) -> bool:
    return tensor.is_quantized or tensor.is_nested or tensor._is_zerotensor()


def _plain(tensor: Tensor) -> Tensor | None:
    """Return the plain tensor under a parameter or subclass, None where elements are not real."""
    if isinstance(tensor, torch.nn.Parameter):
        return tensor.data
    if torch._C._functorch.is_functorch_wrapped_tensor(tensor):
        return None
    if hasattr(tensor, "fake_mode"):
        return None
    local = getattr(tensor, "to_local", None)  # a distributed tensor: never a collective here
    return local() if local is not None else tensor


def _stored(tensor: Tensor, *, dense: bool) -> Tensor:
    """Return the elements of a tensor that is not strided; the unstored zeros only if `dense`."""
    if tensor._is_zerotensor():
        return torch.zeros(tensor.shape, dtype=tensor.dtype, device=tensor.device)
    if tensor.is_quantized:
        return tensor.dequantize()
    if tensor.is_nested:
        return tensor.values()
    if tensor.layout is torch._mkldnn or dense:  # type: ignore[attr-defined]
        return tensor.to_dense()
    return tensor.coalesce().values() if tensor.layout is torch.sparse_coo else tensor.values()


def _flat(tensor: Tensor) -> Tensor:
    """Return the elements as one dimension of real floats, without a copy where possible."""
    if tensor.is_complex():
        tensor = tensor.abs()
    elif tensor.dtype not in _WHOLE:
        tensor = tensor.float() if tensor.is_floating_point() else tensor.double()
    if tensor.is_contiguous():
        return tensor.view(-1)
    order = sorted(range(tensor.dim()), key=lambda axis: -tensor.stride(axis))
    return tensor.permute(order).reshape(-1)


def _sums(flat: Tensor, low: float, high: float) -> tuple[Any, ...]:
    """Return sum, norm, minimum, maximum and the number of non-finite elements."""
    largest = max(-low, high)
    if not math.isfinite(largest):
        bad = flat.numel() - int(torch.isfinite(flat).sum())
        return flat.sum(dtype=torch.float64).item(), largest, low, high, bad
    smallest_safe, largest_safe = _SAFE[flat.dtype]
    if smallest_safe < largest < largest_safe:
        return flat.sum().item(), math.sqrt(torch.dot(flat, flat).item()), low, high, 0
    if largest == 0.0:
        return 0.0, 0.0, low, high, 0
    scaled = flat.double() / largest
    norm = math.sqrt(torch.dot(scaled, scaled).item()) * largest
    return scaled.sum().item() * largest, norm, low, high, 0


def _fetch(readings: list[Reading]) -> None:
    """Move the numbers of all readings to the host, one transfer a device."""
    by_device: dict[torch.device, list[Reading]] = {}
    for reading in readings:
        by_device.setdefault(reading.device, []).append(reading)
    for group in by_device.values():
        numbers = [torch.as_tensor(n).double() for r in group for n in r.numbers or ()]
        rows = torch.stack(numbers).reshape(len(group), 6).tolist()
        for reading, row in zip(group, rows, strict=True):
            reading.numbers, reading.zeros = (*row[:4], int(row[4])), int(row[5])


def _summary(reading: Reading) -> Summary:
    shape, dtype, device = tuple(reading.shape), _name(reading.dtype), str(reading.device)
    if reading.numbers is None:
        return Summary(shape, dtype, device)
    total, norm, low, high, bad = reading.numbers
    size = math.prod(shape)
    mean = total / size
    with np.errstate(all="ignore"):
        variance = (norm / math.sqrt(size)) ** 2 - mean**2
    std = math.sqrt(max(variance, 0.0)) if math.isfinite(variance) else variance
    return Summary(shape, dtype, device, norm, mean, std, low, high, bad, reading.zeros)


def _reduce_together(readings: list[Reading]) -> None:
    """Summarize many small copies with one reduction for all of them."""
    for reading in readings:
        if reading.tensor is not None and reading.tensor.numel() == 0:
            reading.summary = Summary.of(
                np.empty(tuple(reading.shape)), dtype=_name(reading.dtype), device=str(reading.device)
            )
    filled = [r for r in readings if r.tensor is not None and r.tensor.numel()]
    groups: dict[tuple[torch.device, torch.dtype], list[Reading]] = {}
    for reading in filled:
        groups.setdefault((reading.device, reading.dtype), []).append(reading)
    for group in groups.values():
        _reduce_segments(group)


def _reduce_segments(group: list[Reading]) -> None:
    copies = [reading.tensor for reading in group if reading.tensor is not None]
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
        reading.summary = Summary(shape, _name(reading.dtype), device, *row)


def _to_numpy(tensor: Tensor | None) -> np.ndarray[Any, Any]:
    """Return the elements as NumPy has them; bfloat16 and narrower floats become float32."""
    assert tensor is not None
    host = tensor.resolve_conj().resolve_neg().cpu()
    if host.is_floating_point() and host.dtype not in (*_WHOLE, torch.float16):
        host = host.float()
    return np.asarray(host.numpy())


_NAMES: dict[torch.dtype, str] = {}


def _name(dtype: torch.dtype) -> str:
    if dtype not in _NAMES:
        _NAMES[dtype] = str(dtype).removeprefix("torch.")
    return _NAMES[dtype]
