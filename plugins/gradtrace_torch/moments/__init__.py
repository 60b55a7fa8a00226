"""Sum, sum of squares, extremes and zeros of a tensor in one pass over its memory, compiled from C.

PyTorch and NumPy take a pass for each. Where `build.py` found no compiler, `moments_of` finds
nothing, and those who ask it take the other way.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gradtrace_torch.elements import in_order

__all__ = ["Moments", "moments_of", "moments_of_many", "moments_of_move"]

Moments = list[float]
"""Sum, sum of squares, minimum, maximum and number of zeros."""

Sizes = npt.NDArray[np.uintp]
Table = npt.NDArray[np.float64]
Certain = npt.NDArray[np.bool_]

_WIDTH = 5

_TYPES = {torch.float32: "f32", torch.float64: "f64", torch.bfloat16: "bf16"}

_LEAST = {torch.float32: 1e-31, torch.float64: 1e-300, torch.bfloat16: 1e-31}
"""Mean square below which too many squares may have been lost to underflow."""

LIBRARY = Path(__file__).with_name("moments.so")

_POINTER, _SIZE = ctypes.c_void_p, ctypes.c_size_t


def _load(name: str, arrays: int) -> dict[torch.dtype, Any]:
    """Return the compiled functions of a name, by type; none where nothing was compiled.

    They take so many `arrays`, their size, and where to put what is found.
    """
    try:
        library = ctypes.CDLL(str(LIBRARY))
    except OSError:
        return {}
    functions = {}
    for dtype, suffix in _TYPES.items():
        function = getattr(library, f"{name}_{suffix}", None)
        if function is not None:
            function.argtypes = [*[_POINTER] * arrays, _SIZE, _POINTER]
            function.restype = None
            functions[dtype] = function
    return functions


_moments = _load("moments", 1)
_moments_of_many = _load("moments_of_many", 2)
_moments_of_move = _load("moments_of_move", 2)

_Found = ctypes.c_double * _WIDTH
_FoundTwice = ctypes.c_double * (2 * _WIDTH)


def moments_of(tensor: Tensor) -> Moments | None:
    """Return the moments of an ordinary tensor, as `elements.is_ordinary` says.

    None where they have to be found in another way: of types that were not compiled, where squares
    overflow or vanish or an element is not finite, where its memory has gaps or it has no elements.

    >>> moments_of(torch.tensor([3.0, math.nan]))
    """
    function = _moments.get(tensor.dtype)
    if function is None:
        return None
    if not tensor.is_contiguous():
        tensor = in_order(tensor.detach())
        if not tensor.is_contiguous():
            return None
    found, size = _Found(), tensor.numel()
    function(tensor.data_ptr(), size, found)
    return _trusted(found[:], size, _LEAST[tensor.dtype])


def moments_of_many(tensors: Sequence[Tensor]) -> tuple[Sizes, Table, Certain] | None:
    """Return size and moments of each tensor, a row each, and whether these are certain.

    All tensors are contiguous and of one type. None where that was not compiled.

    >>> sizes, table, certain = moments_of_many([torch.tensor([3.0, math.nan]), torch.ones(3)])
    >>> sizes, table[1], certain
    (array([2, 3], dtype=uint64), array([3., 3., 1., 1., 0.]), array([False,  True]))
    """
    function = _moments_of_many.get(tensors[0].dtype) if tensors else None
    if function is None:
        return None
    sizes = np.array([tensor.numel() for tensor in tensors], np.uintp)
    pointers = np.array([tensor.data_ptr() for tensor in tensors], np.uintp)
    table = np.empty((len(tensors), _WIDTH))
    function(pointers.ctypes.data, sizes.ctypes.data, len(tensors), table.ctypes.data)
    least = _LEAST[tensors[0].dtype]
    squares, zeros = table[:, 1], table[:, 4]
    certain = (squares >= least * sizes) & (squares < math.inf) | (zeros == sizes)
    return sizes, table, certain & (sizes > 0)


def moments_of_move(now: Tensor, before: Tensor) -> tuple[Moments | None, Moments | None]:
    """Return the moments of `now`, and of what was added to `before`; both are contiguous.

    >>> now, before = torch.tensor([3.0, math.inf]), torch.ones(2)
    >>> moments_of_move(now, before)
    (None, None)
    """
    function = _moments_of_move.get(now.dtype)
    if function is None:
        return None, None
    found, size = _FoundTwice(), now.numel()
    function(now.data_ptr(), before.data_ptr(), size, found)
    least = _LEAST[now.dtype]
    return _trusted(found[:_WIDTH], size, least), _trusted(found[_WIDTH:], size, least)


def _trusted(found: Moments, size: int, least: float) -> Moments | None:
    """Return the moments of `size` elements, unless their squares say that they are not right."""
    certain = least * size <= found[1] < math.inf or found[4] == size
    return found if certain and size else None
