"""Operations that make fewer numbers of many, along some axes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradtrace_numpy.dispatch import functions
from gradtrace_numpy.errors import NoDerivativeError
from gradtrace_numpy.primitive import Primitive
from gradtrace_numpy.rules.making import general, linear

__all__ = ["expand", "norm", "reduction"]


def expand(reduced: Any, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Return `reduced` with axes of length 1 where `x` was reduced, so that both broadcast."""
    if keepdims or np.ndim(x) == 0:
        return reduced
    if axis is None:
        return np.reshape(reduced, (1,) * np.ndim(x))
    return np.expand_dims(reduced, axis)


def reduction(
    forward: Callable[..., Any],
    slope: Callable[..., Any],
    *replaces: Callable[..., Any],
) -> Primitive:
    """Add a reduction by its slope, ∂y/∂xᵢ for every element reduced into y.

    The slope takes `(y, x, axis)`, with `y` expanded to broadcast with `x`.
    """

    def slopes(y: Any, a: Any, axis: Any, keepdims: bool, extra: Any) -> Any:
        return slope(expand(y, a, axis, keepdims), a, axis, **extra)

    def pull(u: Any, y: Any, a: Any, *, axis: Any = None, keepdims: Any = False, **kw: Any) -> Any:
        return expand(u, a, axis, keepdims) * slopes(y, a, axis, keepdims, kw)

    def push(t: Any, y: Any, a: Any, *, axis: Any = None, keepdims: Any = False, **kw: Any) -> Any:
        return np.sum(t * slopes(y, a, axis, keepdims, kw), axis=axis, keepdims=keepdims)

    name = forward.__name__.strip("_")
    return general(name, forward, pull, pushforwards=[push], replaces=replaces)


def _sum(a: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    return np.sum(a, axis=axis, keepdims=keepdims)


def _mean(a: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    return np.mean(a, axis=axis, keepdims=keepdims)


def _max(a: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    return np.max(a, axis=axis, keepdims=keepdims)


def _min(a: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    return np.min(a, axis=axis, keepdims=keepdims)


def _prod(a: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    return np.prod(a, axis=axis, keepdims=keepdims)


def _var(a: Any, *, axis: Any = None, ddof: int = 0, keepdims: bool = False) -> Any:
    return np.var(a, axis=axis, ddof=ddof, keepdims=keepdims)


def _std(a: Any, *, axis: Any = None, ddof: int = 0, keepdims: bool = False) -> Any:
    return np.std(a, axis=axis, ddof=ddof, keepdims=keepdims)


def _norm(x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    return np.sqrt(np.sum(x * x, axis=axis, keepdims=keepdims))


# -- slopes ---------------------------------------------------------------------------------------


def _count(y: Any, x: Any) -> int:
    """Return how many elements were reduced into one."""
    return int(np.size(x) // max(np.size(y), 1))


def _extreme(y: Any, a: Any, axis: Any) -> Any:
    """Return 1 at the extreme; elements that tie share it evenly."""
    chosen = np.where(a == y, 1.0, 0.0)
    return chosen / np.sum(chosen, axis=axis, keepdims=True)


def _others(y: Any, a: Any, axis: Any) -> Any:
    """Return for each element the product of all others reduced with it, right where one is 0."""
    rank = np.ndim(a)
    axes = tuple(range(rank)) if axis is None else (axis,) if isinstance(axis, int) else axis
    axes = tuple(each % rank for each in axes)
    order = [*(i for i in range(rank) if i not in axes), *axes]
    turned = np.transpose(a, order)
    rows = np.reshape(turned, (*np.shape(turned)[: rank - len(axes)], -1))
    ones = np.ones((*np.shape(rows)[:-1], 1))
    before = np.cumprod(np.concatenate([ones, rows[..., :-1]], axis=-1), axis=-1)
    after = np.cumprod(np.concatenate([ones, np.flip(rows, -1)[..., :-1]], axis=-1), axis=-1)
    return np.transpose(
        np.reshape(before * np.flip(after, -1), np.shape(turned)), tuple(np.argsort(order))
    )


def _centred(y: Any, a: Any, axis: Any, ddof: int = 0) -> Any:
    return 2 * (a - np.mean(a, axis=axis, keepdims=True)) / (_count(y, a) - ddof)


def _over_deviation(y: Any, a: Any, axis: Any, ddof: int = 0) -> Any:
    return _centred(y, a, axis, ddof) / (2 * _not_zero(y))


def _unit(y: Any, x: Any, axis: Any) -> Any:
    return x / _not_zero(y)


def _not_zero(y: Any) -> Any:
    """Return 1 where `y` is 0: of all slopes that a kink has, 0 is taken."""
    return np.where(y == 0, 1.0, y)


# fmt: off
reduction(_sum,  lambda y, a, axis: 1.0,               np.sum)
reduction(_mean, lambda y, a, axis: 1.0 / _count(y, a), np.mean)
reduction(_max,  _extreme,                             np.max, np.amax)
reduction(_min,  _extreme,                             np.min, np.amin)
reduction(_prod, _others,                              np.prod)
reduction(_var,  _centred,                             np.var)
reduction(_std,  _over_deviation,                      np.std)
NORM = reduction(_norm, _unit)
# fmt: on

# -- running sums and products --------------------------------------------------------------------


def _cumsum(a: Any, *, axis: int | None = None) -> Any:
    return np.cumsum(a, axis=axis)


def _sum_from(u: Any, y: Any, a: Any, *, axis: int | None = None) -> Any:
    along = 0 if axis is None else axis
    summed = np.flip(np.cumsum(np.flip(u, along), axis=along), along)
    return np.reshape(summed, np.shape(a))


def _cumprod(a: Any, *, axis: int | None = None) -> Any:
    return np.cumprod(a, axis=axis)


def _jacobian(a: Any, axis: int | None) -> Any:
    """Return ∂yᵢ/∂xⱼ of the running product in two last axes: x₀ ⋯ xᵢ without xⱼ, for j ≤ i."""
    rows = np.reshape(a, -1) if axis is None else np.moveaxis(a, axis, -1)
    place = np.arange(np.shape(rows)[-1])
    without = np.where(place == place[:, None], 1.0, np.expand_dims(rows, -2))
    products = np.swapaxes(np.cumprod(without, axis=-1), -1, -2)
    return np.where(place[:, None] >= place, products, 0.0)


def _to_factors(u: Any, y: Any, a: Any, *, axis: int | None = None) -> Any:
    along = -1 if axis is None else axis
    rows = np.expand_dims(np.moveaxis(u, along, -1), -2)
    share = np.squeeze(np.matmul(rows, _jacobian(a, axis)), -2)
    return np.reshape(np.moveaxis(share, -1, along), np.shape(a))


def _from_factors(t: Any, y: Any, a: Any, *, axis: int | None = None) -> Any:
    along = -1 if axis is None else axis
    rows = np.reshape(t, -1) if axis is None else np.moveaxis(t, axis, -1)
    pushed = np.squeeze(np.matmul(_jacobian(a, axis), np.expand_dims(rows, -1)), -1)
    return np.moveaxis(pushed, -1, along)


linear("cumsum", _cumsum, _sum_from, replaces=[np.cumsum])
general("cumprod", _cumprod, _to_factors, pushforwards=[_from_factors], replaces=[np.cumprod])

# -- norms of vectors, and the one of matrices that is Euclidean ----------------------------------


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """Return `np.linalg.norm`, but for the norms of matrices that take singular values."""
    matrix = np.ndim(x) > 1 if axis is None else not isinstance(axis, int)
    how: dict[str, Any] = {"axis": axis, "keepdims": keepdims}
    if ord is None or ord == ("fro" if matrix else 2):
        return NORM(x, **how)
    if matrix or not isinstance(ord, int | float) or ord == 0:
        raise NoDerivativeError(
            f"np.linalg.norm(…, ord={ord!r}) has no rule in gradtrace_numpy; of matrices it has "
            "one for 'fro', of vectors for every number but 0"
        )
    if np.isinf(ord):
        return (np.max if ord > 0 else np.min)(np.abs(x), **how)
    return np.sum(np.abs(x) ** ord, **how) ** (1 / ord)


functions[np.linalg.norm] = norm

# -- what NumPy calls by other names --------------------------------------------------------------


def _ufunc_reduce(function: Callable[..., Any]) -> Callable[..., Any]:
    def reduce(array: Any, axis: Any = 0, dtype: None = None, keepdims: bool = False) -> Any:
        return function(array, axis=axis, keepdims=keepdims)

    return reduce


def _ufunc_accumulate(function: Callable[..., Any]) -> Callable[..., Any]:
    def accumulate(array: Any, axis: int = 0) -> Any:
        return function(array, axis=axis)

    return accumulate


def _ptp(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    return np.max(a, axis=axis, keepdims=keepdims) - np.min(a, axis=axis, keepdims=keepdims)


def _average(a: Any, axis: Any = None, weights: Any = None, *, keepdims: bool = False) -> Any:
    if weights is None:
        return np.mean(a, axis=axis, keepdims=keepdims)
    weights = (
        weights
        if np.ndim(weights) == np.ndim(a)
        else np.moveaxis(np.reshape(weights, (-1,) + (1,) * (np.ndim(a) - 1)), 0, axis)
    )
    total = np.sum(np.broadcast_to(weights, np.shape(a)), axis=axis, keepdims=keepdims)
    return np.sum(a * weights, axis=axis, keepdims=keepdims) / total


functions[np.average] = _average
functions[np.ptp] = _ptp
functions[np.add.reduce] = _ufunc_reduce(np.sum)
functions[np.multiply.reduce] = _ufunc_reduce(np.prod)
functions[np.maximum.reduce] = _ufunc_reduce(np.max)
functions[np.minimum.reduce] = _ufunc_reduce(np.min)
functions[np.logical_and.reduce] = _ufunc_reduce(np.all)
functions[np.logical_or.reduce] = _ufunc_reduce(np.any)
functions[np.add.accumulate] = _ufunc_accumulate(np.cumsum)
functions[np.multiply.accumulate] = _ufunc_accumulate(np.cumprod)
