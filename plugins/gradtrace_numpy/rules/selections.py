"""Operations that read some elements: the pullback adds up what comes back where they were."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

import numpy as np

from gradtrace_numpy.arrays import Array
from gradtrace_numpy.dispatch import functions
from gradtrace_numpy.errors import NoDerivativeError
from gradtrace_numpy.rules.making import general, linear
from gradtrace_numpy.rules.shapes import REPEAT

__all__ = ["GETITEM", "SCATTER", "SLOT", "getitem", "pad"]


def _getitem(a: Any, *indices: Any, key: Any) -> Any:
    return a[_filled(key, indices)]


def _scatter(a: Any, *indices: Any, key: Any, shape: tuple[int, ...]) -> Any:
    """Add the elements of `a` up at the places that `key` reads from an array of `shape`."""
    total = np.zeros(shape, np.asarray(a).dtype)
    if _reads_once(key):
        total[key] = a
    else:
        np.add.at(total, _filled(key, indices), a)
    return total


def _reads_once(key: Any) -> bool:
    """Tell whether a key reads no element twice: one of numbers and slices alone does not."""
    parts = key if isinstance(key, tuple) else (key,)
    return all(part is None or part is ... or isinstance(part, int | slice) for part in parts)


def _gather_back(u: Any, y: Any, a: Any, *indices: Any, key: Any, position: int) -> Any:
    return SCATTER(u, *indices, key=key, shape=np.shape(a))


def _scatter_back(u: Any, y: Any, a: Any, *indices: Any, position: int, **where: Any) -> Any:
    return GETITEM(u, *indices, key=where["key"])


class _Slot:
    """The place of an index that is an array, and so an operand, in a key."""


SLOT = _Slot()


def _filled(key: Any, indices: Sequence[Any]) -> Any:
    given = iter(indices)
    if not isinstance(key, tuple):
        return next(given) if key is SLOT else key
    return tuple(next(given) if part is SLOT else part for part in key)


def getitem(a: Any, key: Any) -> Any:
    """Return `a[key]`; arrays in the key are operands, everything else is an argument."""
    parts = [deepcopy(part) if isinstance(part, list) else part
             for part in (key if isinstance(key, tuple) else (key,))]  # fmt: skip
    indices = [part for part in parts if isinstance(part, Array | np.ndarray)]
    shown = tuple(SLOT if isinstance(part, Array | np.ndarray) else part for part in parts)
    return GETITEM(a, *indices, key=shown if isinstance(key, tuple) else shown[0])


def _push_getitem(t: Any, y: Any, a: Any, *indices: Any, position: int, **where: Any) -> Any:
    return _getitem(t, *indices, **where)


def _push_scatter(t: Any, y: Any, a: Any, *indices: Any, position: int, **where: Any) -> Any:
    return _scatter(t, *indices, **where)


GETITEM = general("getitem", _getitem, _gather_back, pushforwards=[_push_getitem],
                  variadic=True, operands=["a", "indices"])  # fmt: skip
SCATTER = general("scatter", _scatter, _scatter_back, pushforwards=[_push_scatter],
                  variadic=True, operands=["a", "indices"])  # fmt: skip


def _take(a: Any, indices: Any, axis: int | None = None) -> Any:
    a, axis = (np.ravel(a), 0) if axis is None else (a, axis)
    chosen = indices if isinstance(indices, Array) else np.asarray(indices)
    return getitem(a, (*(slice(None),) * (axis % np.ndim(a)), chosen))


def _take_along_axis(a: Any, indices: Any, axis: int | None = -1) -> Any:
    a, axis = (np.ravel(a), 0) if axis is None else (a, axis)
    places: list[Any] = list(np.indices(np.shape(a), sparse=True))
    places[axis] = indices
    return getitem(a, tuple(places))


def _repeat(a: Any, repeats: Any, axis: int | None = None) -> Any:
    """Return `np.repeat`; a number for each element chooses it as often."""
    if np.size(repeats) == 1:
        return REPEAT(a, repeats=int(np.ravel(repeats)[0]), axis=axis)
    a, axis = (np.ravel(a), 0) if axis is None else (a, axis)
    return _take(a, np.repeat(np.arange(np.shape(a)[axis]), repeats), axis)


# -- a part of a matrix, the rest 0 ---------------------------------------------------------------


def _tril(m: Any, *, k: int = 0) -> Any:
    return np.tril(m, k)


def _triu(m: Any, *, k: int = 0) -> Any:
    return np.triu(m, k)


def _same_part(part: Callable[..., Any]) -> Callable[..., Any]:
    def pull(u: Any, y: Any, m: Any, *, k: int = 0) -> Any:
        return part(u, k=k)

    return pull


def _pad(array: Any, *, pad_width: Any) -> Any:
    return np.pad(array, pad_width)


def _cut(u: Any, y: Any, array: Any, *, pad_width: Any) -> Any:
    sides = np.broadcast_to(pad_width, (np.ndim(array), 2)).tolist()
    sizes = np.shape(array)
    return u[tuple(slice(low, low + n) for (low, _), n in zip(sides, sizes, strict=True))]


linear("tril", _tril, _same_part(np.tril), replaces=[np.tril])
linear("triu", _triu, _same_part(np.triu), replaces=[np.triu])
PAD = linear("pad", _pad, _cut)

# -- functions of NumPy made of these -------------------------------------------------------------


CHOOSING = ("edge", "reflect", "symmetric", "wrap")
"""Ways to pad with elements of the array itself."""


def pad(array: Any, pad_width: Any, mode: str = "constant", *, constant_values: Any = 0) -> Any:
    """Return `np.pad` with constants, or with elements of the array."""
    if mode in CHOOSING:
        places = np.arange(np.size(array)).reshape(np.shape(array))
        return getitem(np.ravel(array), np.pad(places, pad_width, mode))  # type: ignore[call-overload]
    if mode != "constant":
        raise NoDerivativeError(
            f"np.pad(…, mode={mode!r}) has no rule in gradtrace_numpy; "
            f"'constant', {', '.join(map(repr, CHOOSING))} have"
        )
    padded = PAD(array, pad_width=pad_width)
    if np.any(constant_values):
        border = np.zeros(np.shape(array), array.dtype)
        return padded + np.pad(border, pad_width, constant_values=constant_values)
    return padded


def _diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    rows, columns = np.shape(a)[axis1], np.shape(a)[axis2]
    start = max(-offset, 0)
    place = np.arange(start, start + max(min(rows - start, columns - max(offset, 0)), 0))
    return np.moveaxis(a, (axis1, axis2), (-2, -1))[..., place, place + offset]


def _diag(v: Any, k: int = 0) -> Any:
    if np.ndim(v) == 2:
        return _diagonal(v, k)
    size = np.size(v) + abs(k)
    place = np.arange(np.size(v))
    return SCATTER(v, place + max(-k, 0), place + max(k, 0), key=(SLOT, SLOT), shape=(size, size))


def _trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    return np.sum(_diagonal(a, offset, axis1, axis2), axis=-1)


def _diff(a: Any, n: int = 1, axis: int = -1) -> Any:
    before = (slice(None),) * (axis % np.ndim(a))
    for _ in range(n):
        a = a[(*before, slice(1, None))] - a[(*before, slice(None, -1))]
    return a


def _sort(a: Any, axis: int | None = -1, kind: str | None = None) -> Any:
    """Return `np.sort`; every kind of it gives the same."""
    a, axis = (np.ravel(a), 0) if axis is None else (a, axis)
    return _take_along_axis(a, np.argsort(getattr(a, "data", a), axis=axis, kind="stable"), axis)


functions[operator.getitem] = getitem
functions[np.pad], functions[np.repeat] = pad, _repeat
functions[np.take], functions[np.take_along_axis] = _take, _take_along_axis
functions[np.diagonal], functions[np.diag], functions[np.trace] = _diagonal, _diag, _trace
functions[np.diff], functions[np.sort] = _diff, _sort
