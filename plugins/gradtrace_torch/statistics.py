"""Fast reductions from tensors to summaries.

What runs in the training step is one pass over a large tensor. Small tensors are only remembered,
copied together before anything can overwrite them, and reduced together at the end. Numbers that
live on a device are fetched together then: nothing in the step waits for the device.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from gradtrace.summary import SMALL, Summary
from gradtrace_torch.compiled import moments_of
from gradtrace_torch.elements import (
    flat,
    is_odd,
    is_ordinary,
    is_readable,
    is_slight,
    is_there,
    plain,
    stored,
)
from gradtrace_torch.readings import (
    Reading,
    array_of,
    fetch,
    summarize,
    summarize_together,
    type_name,
)
from gradtrace_torch.remote import numbers_of, settle

__all__ = ["Meter"]

_SAFE = {torch.float32: (1e-15, 1e15), torch.float64: (1e-140, 1e140)}
"""Magnitudes between which squares neither underflow nor overflow."""

_LEAST_SQUARES = 1e-280
"""A sum of squares below which, also in double precision, too many may have vanished."""


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

        Where `tensor` is a view of all elements of which `like` was read, nothing is measured. What
        has no elements that can be read stays not computed.
        """
        try:
            if is_ordinary(tensor):
                shape = reading.shape = tensor.shape
                reading.dtype = tensor.dtype
                size = shape.numel()
                if size > SMALL and size > self.limit:
                    self._pass_over(reading, tensor, like)
                    return
                if size <= SMALL and not own and is_slight(tensor):
                    reading.tensor = tensor
                    self._borrowed.append((reading, tensor, tensor._version))
                    return
            reading.describe(tensor)
            simple = tensor if type(tensor) is Tensor else plain(tensor)
            if simple is not None and is_readable(simple):
                self._measure(reading, simple.detach(), like)
        except (RuntimeError, TypeError):  # without storage, or of a class of the user's
            reading.describe(tensor)

    def _pass_over(self, reading: Reading, tensor: Tensor, like: Reading | None) -> None:
        """Reduce a large ordinary tensor."""
        reading.pointer, reading.version = tensor.data_ptr(), tensor._version
        if like is not None and like.numbers is not None and _same_elements(like, tensor):
            reading.numbers = like.numbers
        else:
            reading.numbers = _numbers(tensor)

    def _measure(self, reading: Reading, tensor: Tensor, like: Reading | None) -> None:
        if tensor.layout is not torch.strided or is_odd(tensor):
            small = reading.shape.numel() <= SMALL
            tensor = stored(tensor, dense=small or self.keep != "summary")
        elif tensor.is_cpu and not is_there(tensor):
            return
        elif not tensor.is_inference():
            reading.pointer, reading.version = tensor.data_ptr(), tensor._version
        size = tensor.numel()
        if size <= SMALL or size <= self.limit:
            reading.tensor = tensor.clone()
            self._whole.append(reading)
        elif like is not None and like.numbers is not None and _same_elements(like, tensor):
            reading.numbers = like.numbers
            if not tensor.is_cpu:
                self._remote.append(reading)
        else:
            self._reduce(reading, tensor)

    def secure(self) -> None:
        """Copy what is borrowed, before it is overwritten."""
        groups: dict[torch.dtype, list[tuple[Reading, Tensor]]] = {}
        for reading, tensor, version in self._borrowed:
            if tensor._version == version and (tensor.data_ptr() or not tensor.numel()):
                groups.setdefault(reading.dtype, []).append((reading, tensor))
            else:  # overwritten, or freed, where nobody could see it: not computed
                reading.tensor = None
        self._borrowed.clear()
        with torch.no_grad():
            for group in groups.values():
                self._copy_together(group)

    def _copy_together(self, group: list[tuple[Reading, Tensor]]) -> None:
        joined = torch.cat([t if t.dim() == 1 else t.reshape(-1) for _, t in group])
        start = 0
        for reading, _ in group:
            reading.tensor, reading.start = joined, start
            start += reading.shape.numel()
            self._whole.append(reading)

    def _reduce(self, reading: Reading, tensor: Tensor) -> None:
        if not tensor.is_cpu:
            reading.numbers = numbers_of(tensor)
            self._remote.append(reading)
            return
        numbers = _numbers(flat(tensor))
        if numbers is None:
            return
        total, norm, low, high, bad = numbers
        if tensor.numel() < reading.shape.numel():  # the zeros that a sparse tensor leaves out
            low, high = min(low, 0.0), max(high, 0.0)
        reading.numbers = total, norm, low, high, bad

    def resolve(self) -> None:
        """Turn every reading into its summary, moving what lives on a device once."""
        self.secure()
        for device in {reading.device for reading in (*self._remote, *self._whole)}:
            settle(device)
        fetch(self._remote)
        self._remote.clear()
        kept = [reading for reading in self._whole if math.prod(reading.shape) <= self.limit]
        for reading in kept:
            reading.summary = Summary.of(
                array_of(reading.elements()).reshape(reading.shape),
                keep=True,
                dtype=type_name(reading.dtype),
                device=str(reading.device),
            )
        summarize_together([reading for reading in self._whole if reading.summary is None])
        for reading in self._whole:
            reading.tensor = None
        self._whole.clear()

    def summary(self, reading: Reading) -> Summary:
        """Return the summary of a resolved reading."""
        if reading.summary is None:
            reading.summary = summarize(reading)
        return reading.summary


def _same_elements(like: Reading, tensor: Tensor) -> bool:
    return (
        like.dtype is tensor.dtype and like.shape.numel() == tensor.numel() and like.is_of(tensor)
    )


def _numbers(tensor: Tensor) -> tuple[Any, ...] | None:
    """Return sum, norm, minimum, maximum and the number of non-finite elements.

    None where its memory was freed.
    """
    found = moments_of(tensor)
    if found is not None:
        size, total, squares, low, high, zeros, bad, *_ = found
        if (_LEAST_SQUARES < squares < math.inf or zeros == size) and not bad:
            return total, math.sqrt(squares), low, high, 0
    if not is_there(tensor):
        return None
    elements = flat(tensor.detach())
    lowest, highest = torch.aminmax(elements)
    return _sums(elements, lowest.item(), highest.item())


def _sums(flat: Tensor, low: float, high: float) -> tuple[Any, ...]:
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
