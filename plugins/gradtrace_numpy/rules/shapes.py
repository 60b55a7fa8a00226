"""Operations that put elements elsewhere: each is linear, and its pullback puts them back."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradtrace_numpy.arrays import Array, plain
from gradtrace_numpy.dispatch import functions
from gradtrace_numpy.errors import NoDerivativeError
from gradtrace_numpy.primitive import IDENTITY
from gradtrace_numpy.rules.making import linear

__all__ = ["REPEAT", "RESHAPE"]

# -- the same elements in the same order ----------------------------------------------------------


def _reshape(a: Any, *, shape: Any) -> Any:
    return np.reshape(a, shape)


def _as_before(u: Any, y: Any, a: Any, **arguments: Any) -> Any:
    return np.reshape(u, np.shape(a))


def _ravel(a: Any) -> Any:
    return np.ravel(a)


def _expand_dims(a: Any, *, axis: Any) -> Any:
    return np.expand_dims(a, axis)


def _squeeze(a: Any, *, axis: Any = None) -> Any:
    return np.squeeze(a, axis)


RESHAPE = linear("reshape", _reshape, _as_before, structure=IDENTITY)
linear("ravel", _ravel, _as_before, structure=IDENTITY, replaces=[np.ravel])
linear("expand_dims", _expand_dims, _as_before, structure=IDENTITY, replaces=[np.expand_dims])
linear("squeeze", _squeeze, _as_before, structure=IDENTITY, replaces=[np.squeeze])

# -- the same elements in another order -----------------------------------------------------------


def _transpose(a: Any, *, axes: Any = None) -> Any:
    return np.transpose(a, axes)


def _transpose_back(u: Any, y: Any, a: Any, *, axes: Any = None) -> Any:
    return np.transpose(u, None if axes is None else tuple(np.argsort(np.mod(axes, np.ndim(a)))))


def _swapaxes(a: Any, *, axis1: int, axis2: int) -> Any:
    return np.swapaxes(a, axis1, axis2)


def _swap_back(u: Any, y: Any, a: Any, *, axis1: int, axis2: int) -> Any:
    return np.swapaxes(u, axis1, axis2)


def _moveaxis(a: Any, *, source: Any, destination: Any) -> Any:
    return np.moveaxis(a, source, destination)


def _move_back(u: Any, y: Any, a: Any, *, source: Any, destination: Any) -> Any:
    return np.moveaxis(u, destination, source)


def _flip(m: Any, *, axis: Any = None) -> Any:
    return np.flip(m, axis)


def _flip_back(u: Any, y: Any, m: Any, *, axis: Any = None) -> Any:
    return np.flip(u, axis)


def _roll(a: Any, *, shift: Any, axis: Any = None) -> Any:
    return np.roll(a, shift, axis)


def _roll_back(u: Any, y: Any, a: Any, *, shift: Any, axis: Any = None) -> Any:
    return np.roll(u, np.negative(shift).tolist(), axis)


linear("transpose", _transpose, _transpose_back, replaces=[np.transpose])
linear("swapaxes", _swapaxes, _swap_back, replaces=[np.swapaxes])
linear("moveaxis", _moveaxis, _move_back, replaces=[np.moveaxis])
linear("flip", _flip, _flip_back, replaces=[np.flip])
linear("roll", _roll, _roll_back, replaces=[np.roll])

# -- elements repeated ----------------------------------------------------------------------------


def _broadcast_to(a: Any, *, shape: Any) -> Any:
    return np.broadcast_to(a, shape)


def _itself(u: Any, y: Any, a: Any, **arguments: Any) -> Any:
    return u


def _repeat(a: Any, *, repeats: int, axis: int | None = None) -> Any:
    return np.repeat(a, repeats, axis)


def _sum_repeats(u: Any, y: Any, a: Any, *, repeats: int, axis: int | None = None) -> Any:
    shape = np.shape(a) if axis is not None else (np.size(a),)
    along = 0 if axis is None else axis % np.ndim(a)
    split = np.reshape(u, (*shape[: along + 1], repeats, *shape[along + 1 :]))
    return np.reshape(np.sum(split, axis=along + 1), np.shape(a))


def _tile(a: Any, *, reps: Any) -> Any:
    return np.tile(a, reps)


def _sum_tiles(u: Any, y: Any, a: Any, *, reps: Any) -> Any:
    times = tuple(np.atleast_1d(reps).tolist())
    rank = max(np.ndim(a), len(times))
    times = (1,) * (rank - len(times)) + times
    shape = (1,) * (rank - np.ndim(a)) + np.shape(a)
    split = np.reshape(u, [n for pair in zip(times, shape, strict=True) for n in pair])
    return np.reshape(np.sum(split, axis=tuple(range(0, 2 * rank, 2))), np.shape(a))


linear("broadcast_to", _broadcast_to, _itself, replaces=[np.broadcast_to])
REPEAT = linear("repeat", _repeat, _sum_repeats)
linear("tile", _tile, _sum_tiles, replaces=[np.tile])

# -- functions of NumPy made of these -------------------------------------------------------------


def reshape(a: Any, shape: Any = None, order: str = "C", **named: Any) -> Any:
    """Return `np.reshape`, which has called its argument `shape` and `newshape`."""
    if order != "C":
        raise NoDerivativeError(
            f"np.reshape(…, order={order!r}) has no rule in gradtrace_numpy, only order='C' has; "
            "for the order of Fortran, transpose before and after"
        )
    return RESHAPE(a, shape=named.get("newshape", shape))


def _atleast(rank: int) -> Any:
    def atleast(*arrays: Any) -> Any:
        raised = [np.reshape(a, (1,) * (rank - np.ndim(a)) + np.shape(a)) for a in arrays]
        return raised[0] if len(raised) == 1 else tuple(raised)

    return atleast


def _rot90(m: Any, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Any:
    first, second = axes
    for _ in range(k % 4):
        m = np.flip(np.swapaxes(m, first, second), first)
    return m


def _flip_axis(axis: int) -> Any:
    return lambda m: np.flip(m, axis)


def _meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> Any:
    """Return `np.meshgrid`: each array along an axis of its own, the first two swapped for xy."""
    axes = list(range(len(xi)))
    if indexing == "xy":
        axes[:2] = axes[:2][::-1]
    grids = [
        np.expand_dims(np.ravel(x), tuple({*axes} - {i})) for x, i in zip(xi, axes, strict=True)
    ]
    whole = np.broadcast_shapes(*map(np.shape, grids))
    return tuple(grids if sparse else (np.broadcast_to(grid, whole) for grid in grids))


def _full_like(a: Any, fill_value: Any, dtype: Any = None) -> Any:
    if not isinstance(fill_value, Array):
        return np.full_like(plain(a), fill_value, dtype)
    return np.broadcast_to(fill_value.astype(dtype or a.dtype), np.shape(a))


functions[np.reshape] = reshape
functions[np.meshgrid], functions[np.full_like] = _meshgrid, _full_like
functions[np.matrix_transpose] = lambda x: np.swapaxes(x, -1, -2)
functions[np.atleast_1d], functions[np.atleast_2d] = _atleast(1), _atleast(2)
functions[np.rot90] = _rot90
functions[np.flipud], functions[np.fliplr] = _flip_axis(0), _flip_axis(1)
