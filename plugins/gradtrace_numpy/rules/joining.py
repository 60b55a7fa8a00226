"""Operations that make one array of several, or several of one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from gradtrace_numpy.dispatch import functions
from gradtrace_numpy.errors import ShapeError
from gradtrace_numpy.rules.making import joint, linear

__all__ = ["CONCATENATE", "SPLIT", "STACK", "fold", "windows"]


def _concatenate(*arrays: Any, axis: int = 0) -> Any:
    return np.concatenate(arrays, axis=axis)


def _own_part(u: Any, y: Any, *arrays: Any, position: int, axis: int = 0) -> Any:
    axis = axis % np.ndim(arrays[0])
    start = sum(np.shape(each)[axis] for each in arrays[:position])
    size = np.shape(arrays[position])[axis]
    return u[(slice(None),) * axis + (slice(start, start + size),)]


def _stack(*arrays: Any, axis: int = 0) -> Any:
    return np.stack(arrays, axis=axis)


def _own_layer(u: Any, y: Any, *arrays: Any, position: int, axis: int = 0) -> Any:
    return u[(slice(None),) * (axis % (np.ndim(arrays[0]) + 1)) + (position,)]


def _split(ary: Any, *, indices_or_sections: Any, axis: int = 0) -> Any:
    parts = np.array_split(ary, indices_or_sections, axis)
    if sum(part.shape[axis] for part in parts) != np.shape(ary)[axis]:
        raise ValueError(
            f"indices are in order: each element is in one part, not as in "
            f"{indices_or_sections}; take parts that overlap by slices"
        )
    return tuple(parts)


def _put_together(u: Any, y: Any, ary: Any, *, indices_or_sections: Any, axis: int = 0) -> Any:
    return np.concatenate(u, axis=axis)


CONCATENATE = joint("concatenate", _concatenate, _own_part, operands=["arrays"])
STACK = joint("stack", _stack, _own_layer, operands=["arrays"])
SPLIT = linear("split", _split, _put_together)

# -- functions of NumPy made of these -------------------------------------------------------------


def concatenate(arrays: Any, axis: int | None = 0) -> Any:
    """Return `np.concatenate`."""
    if axis is None:
        return CONCATENATE(*[np.ravel(each) for each in arrays])
    return CONCATENATE(*arrays, axis=axis)


def stack(arrays: Any, axis: int = 0) -> Any:
    """Return `np.stack`."""
    return STACK(*arrays, axis=axis)


def array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Return `np.array_split`, a list of arrays."""
    return list(SPLIT(ary, indices_or_sections=indices_or_sections, axis=axis))


def split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Return `np.split`, which divides into equal parts only."""
    size = np.shape(ary)[axis]
    if isinstance(indices_or_sections, int) and size % indices_or_sections:
        raise ShapeError(
            f"split cannot divide axis {axis} of an array of shape {np.shape(ary)} into "
            f"{indices_or_sections} equal parts; np.array_split makes parts of unequal length"
        )
    return array_split(ary, indices_or_sections, axis)


def _vstack(tup: Any) -> Any:
    return CONCATENATE(*[np.atleast_2d(each) for each in tup])


def _hstack(tup: Any) -> Any:
    raised = [np.atleast_1d(each) for each in tup]
    return CONCATENATE(*raised, axis=0 if np.ndim(raised[0]) == 1 else 1)


def _column_stack(tup: Any) -> Any:
    return CONCATENATE(*[each[:, None] if np.ndim(each) == 1 else each for each in tup], axis=1)


def _split_along(axis: int) -> Any:
    def split_along(ary: Any, indices_or_sections: Any) -> list[Any]:
        flat = axis == 1 and np.ndim(ary) == 1
        return split(ary, indices_or_sections, 0 if flat else axis)

    return split_along


def _append(arr: Any, values: Any, axis: int | None = None) -> Any:
    return concatenate([arr, values], axis)


functions[np.concatenate], functions[np.stack] = concatenate, stack
functions[np.split], functions[np.array_split] = split, array_split
functions[np.vstack], functions[np.hstack] = _vstack, _hstack
functions[np.vsplit], functions[np.hsplit] = _split_along(0), _split_along(1)
functions[np.dsplit] = _split_along(2)
functions[np.column_stack], functions[np.append] = _column_stack, _append

# -- windows that slide over the last axes: those of a convolution --------------------------------


def _windows(
    x: Any, *, window: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...]
) -> Any:
    reach = tuple((n - 1) * d + 1 for n, d in zip(window, dilation, strict=True))
    axes = tuple(range(-len(window), 0))
    every = sliding_window_view(x, reach, axis=axes)
    steps: Any = (..., *(slice(None, None, step) for step in (*stride, *dilation)))
    return every[steps]


def _fold(
    u: Any,
    *,
    size: tuple[int, ...],
    window: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
) -> Any:
    """Add windows up into an array whose last axes have `size`: what `windows` took apart."""
    rank = len(window)
    counts = u.shape[-2 * rank : -rank]
    total = np.zeros((*u.shape[: -2 * rank], *size), u.dtype)
    for offset in np.ndindex(*window):
        starts = [i * d for i, d in zip(offset, dilation, strict=True)]
        places = [
            slice(start, start + (n - 1) * step + 1, step)
            for start, n, step in zip(starts, counts, stride, strict=True)
        ]
        there: Any = (..., *places)
        total[there] += u[(..., *offset)]
    return total


def _fold_back(u: Any, y: Any, x: Any, **how: Any) -> Any:
    return fold(u, size=np.shape(x)[-len(how["window"]) :], **how)


def _windows_back(u: Any, y: Any, x: Any, *, size: Any, **how: Any) -> Any:
    return windows(u, **how)


windows = linear("windows", _windows, _fold_back)
fold = linear("fold", _fold, _windows_back)


def _sliding_window_view(x: Any, window_shape: Any, axis: Any = None) -> Any:
    """Return `sliding_window_view` over any axes, by bringing them to the end."""
    window = (window_shape,) if isinstance(window_shape, int) else tuple(window_shape)
    given = range(np.ndim(x)) if axis is None else (axis,) if isinstance(axis, int) else axis
    axes = [each % np.ndim(x) for each in given]  # counted before windows are added behind them
    rank = len(window)
    turned = np.moveaxis(x, tuple(axes), tuple(range(-rank, 0)))
    ones = (1,) * rank
    taken = windows(turned, window=window, stride=ones, dilation=ones)
    return np.moveaxis(taken, tuple(range(-2 * rank, -rank)), tuple(axes))


def _convolve(a: Any, v: Any, mode: str = "full") -> Any:
    """Return `np.convolve`: what one array gives, window by window, with the other reversed."""
    if np.size(v) > np.size(a):
        a, v = v, a
    size = np.size(v)
    before, after = {"full": (size - 1, size - 1), "valid": (0, 0)}.get(
        mode, (size // 2, (size - 1) // 2)
    )
    return np.matmul(sliding_window_view(np.pad(a, (before, after)), size), np.flip(v))


def _correlate(a: Any, v: Any, mode: str = "valid") -> Any:
    found = _convolve(a, np.flip(v), mode)
    return np.flip(_convolve(v, np.flip(a), mode)) if np.size(v) > np.size(a) else found


functions[sliding_window_view] = _sliding_window_view
functions[np.convolve], functions[np.correlate] = _convolve, _correlate
