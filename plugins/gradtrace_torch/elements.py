"""The plain real elements of any tensor."""

from __future__ import annotations

import re

import torch
from torch import Tensor

from gradtrace.summary import SMALL

__all__ = [
    "CLASSES",
    "by_stride",
    "flat",
    "in_order",
    "is_odd",
    "is_ordinary",
    "is_readable",
    "is_slight",
    "is_there",
    "plain",
    "stored",
]

_BORROWED = 16 * SMALL
"""Bytes of storage up to which a small tensor is borrowed; a small view may hold a large one."""

_PLAIN = frozenset(
    {torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.int64, torch.bool}
)
_PACKED = {
    getattr(torch, name)
    for name in dir(torch)
    if re.fullmatch(r"bits\w+|u?int[1-7]|float4\w+", name)
}
"""Types that PyTorch stores, and has no numbers for."""

CLASSES = frozenset({Tensor, torch.nn.Parameter})
"""The classes of tensors that are no more than their elements."""
_WHOLE = frozenset({torch.float32, torch.float64})


def is_ordinary(tensor: Tensor) -> bool:
    """Tell whether a tensor is as most are: real, with its elements in the memory of the host."""
    return (
        type(tensor) in CLASSES
        and tensor.is_cpu
        and tensor.layout is torch.strided
        and tensor.dtype in _PLAIN
        and not (tensor.is_nested or tensor._is_zerotensor())
        and not (tensor.is_neg() or tensor.is_inference())
    )


def is_slight(tensor: Tensor) -> bool:
    """Tell whether a small ordinary tensor can be borrowed: it keeps no large memory alive."""
    return type(tensor) is Tensor and 0 < tensor.untyped_storage().nbytes() <= _BORROWED


def is_there(tensor: Tensor) -> bool:
    """Tell whether the memory of a strided tensor holds its elements.

    A storage can be freed while tensors use it, and those inside of a transform have none; PyTorch
    reads their memory all the same.

    >>> x = torch.ones(3)
    >>> there = is_there(x)
    >>> _ = x.untyped_storage().resize_(0)
    >>> there, is_there(x)
    (True, False)
    """
    try:
        pointer = tensor.data_ptr()
    except RuntimeError:  # what a transform has wrapped has no memory of its own
        return False
    if not pointer:
        return tensor.numel() == 0 or tensor._is_zerotensor()
    last = tensor.storage_offset()
    if tensor.is_contiguous():
        last += tensor.numel() - 1
    else:
        pairs = zip(tensor.shape, tensor.stride(), strict=True)
        last += sum([(length - 1) * stride for length, stride in pairs])
    return (last + 1) * tensor.element_size() <= tensor.untyped_storage().nbytes()


def is_readable(tensor: Tensor) -> bool:
    """Tell whether the elements of a tensor are numbers that PyTorch can convert."""
    return not tensor.is_meta and (tensor.is_quantized or tensor.dtype not in _PACKED)


def is_odd(tensor: Tensor) -> bool:
    """Tell whether a strided tensor does not hold its elements as they are."""
    return tensor.is_quantized or tensor.is_nested or tensor._is_zerotensor()


def plain(tensor: Tensor) -> Tensor | None:
    """Return the plain tensor under a parameter or subclass, None where elements are not real."""
    if torch._C._functorch.is_functorch_wrapped_tensor(tensor) or hasattr(tensor, "fake_mode"):
        return None
    if isinstance(tensor, torch.nn.Parameter):
        return tensor.data
    local = getattr(tensor, "to_local", None)  # a distributed tensor: never a collective here
    return local() if local is not None else tensor


def stored(tensor: Tensor, *, dense: bool) -> Tensor:
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


def flat(tensor: Tensor) -> Tensor:
    """Return the elements as one dimension of real floats, without a copy where possible."""
    if tensor.is_complex():
        tensor = tensor.abs()
    elif tensor.is_neg():
        tensor = tensor.resolve_neg()
    elif tensor.dtype not in _WHOLE:
        tensor = tensor.float() if tensor.is_floating_point() else tensor.double()
    return in_order(tensor)


def in_order(tensor: Tensor) -> Tensor:
    """Return the elements as one dimension, in the order they have in memory."""
    return tensor.view(-1) if tensor.is_contiguous() else by_stride(tensor).reshape(-1)


def by_stride(tensor: Tensor) -> Tensor:
    """Return a view with the dimensions in the order that they have in memory."""
    order = sorted(range(tensor.dim()), key=lambda axis: tensor.stride(axis), reverse=True)
    return tensor.permute(order)
