"""Sum, sum of squares, extremes and zeros of a tensor in one pass over its memory, compiled from C.

PyTorch and NumPy take a pass for each. Where `build.py` found no compiler, nothing is found here,
and those who ask take the other way.
"""

from __future__ import annotations

import ctypes
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gradtrace.recording.ledger import Table
from gradtrace.recording.sample import FIELDS
from gradtrace_torch.elements import in_order

__all__ = ["TYPES", "Moments", "moments_of", "moments_of_many", "moments_of_moves"]

Moments = list[float]
"""A number for each of `FIELDS`; what saturates is not looked at."""

_WIDTH = len(FIELDS)

TYPES = {torch.float32: "f32", torch.float64: "f64", torch.bfloat16: "bf16"}
"""What the functions for each type end in."""

LIBRARY = Path(__file__).with_name("moments.so")

_POINTER, _SIZE = ctypes.c_void_p, ctypes.c_size_t


def _load(name: str, *arguments: Any) -> dict[torch.dtype, Any]:
    """Return the compiled functions of a name, by type; none where nothing was compiled."""
    try:
        library = ctypes.CDLL(str(LIBRARY))
    except OSError:
        return {}
    functions = {}
    for dtype, suffix in TYPES.items():
        function = getattr(library, f"{name}_{suffix}", None)
        if function is not None:
            function.argtypes = [*arguments, _POINTER]
            functions[dtype] = function
    return functions


_moments = _load("moments", _POINTER, _SIZE)
_moments_of_many = _load("moments_of_many", _POINTER, _POINTER, ctypes.c_int)
_moments_of_moves = _load("moments_of_moves", _POINTER, _POINTER, _POINTER, ctypes.c_int)

_Found = ctypes.c_double * _WIDTH


def moments_of(tensor: Tensor) -> Moments | None:
    """Return the moments of an ordinary tensor, as `elements.is_ordinary` says.

    None where they have to be found in another way: of types that were not compiled, and where its
    memory has gaps or was freed.

    >>> moments_of(torch.tensor([3.0, float("nan")]))
    [2.0, 3.0, 9.0, 3.0, 3.0, 0.0, 1.0, nan, 1.0]
    """
    function = _moments.get(tensor.dtype)
    if function is None:
        return None
    if not tensor.is_contiguous():
        tensor = in_order(tensor.detach())
        if not tensor.is_contiguous():
            return None
    found = _Found()
    return found[:] if function(tensor.data_ptr(), tensor.numel(), found) else None


def moments_of_many(tensors: Sequence[Tensor]) -> tuple[Table, bool] | None:
    """Return the moments of each tensor, and whether there was something to read of all of them.

    A row of NaN is that of one whose memory was freed. All tensors are contiguous and of one type;
    None where that was not compiled.

    >>> table, read = moments_of_many([torch.ones(3), torch.tensor([2.0])])
    >>> table[1], read
    (array([ 1.,  2.,  4.,  2.,  2.,  0.,  0., nan,  0.]), True)
    """
    function = _moments_of_many.get(tensors[0].dtype) if tensors else None
    if function is None:
        return None
    pointers, sizes, found = _pointers(tensors), _sizes(tensors), _room(len(tensors))
    read = function(*map(_address, (pointers, sizes)), len(tensors), _address(found))
    return _table(found), read == len(tensors)


def moments_of_moves(now: Sequence[Tensor], before: Sequence[Tensor]) -> tuple[Table, bool] | None:
    """Return the moments of each tensor, each followed by those of what was added to it `before`.

    Else like `moments_of_many`.

    >>> table, read = moments_of_moves([torch.tensor([3.0, 4.0])], [torch.ones(2)])
    >>> table[:, 1], read
    (array([7., 5.]), True)
    """
    function = _moments_of_moves.get(now[0].dtype) if now else None
    if function is None:
        return None
    arrays = _pointers(now), _pointers(before), _sizes(now)
    found = _room(2 * len(now))
    read = function(*map(_address, arrays), len(now), _address(found))
    return _table(found), read == len(now)


def _pointers(tensors: Sequence[Tensor]) -> array[int]:
    return array("Q", map(Tensor.data_ptr, tensors))


def _sizes(tensors: Sequence[Tensor]) -> array[int]:
    return array("Q", map(Tensor.numel, tensors))


def _room(rows: int) -> array[float]:
    return array("d", bytes(8 * _WIDTH * rows))


def _address(numbers: array[Any]) -> int:
    return numbers.buffer_info()[0]


def _table(found: array[float]) -> Table:
    return np.frombuffer(found).reshape(-1, _WIDTH)
