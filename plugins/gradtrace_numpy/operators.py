"""Operators and methods as an ndarray has them, each a function of NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradtrace_numpy.errors import InPlaceError

__all__ = ["Operators"]


def _as_function(function: Callable[..., Any]) -> Any:
    """Return a method that is `function` with the array as its first operand."""

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return function(self, *args, **kwargs)

    method.__name__ = method.__qualname__ = function.__name__
    method.__doc__ = f"Return `{function.__name__}` of the array, as NumPy's function does."
    return method


def _reflected(function: Callable[..., Any]) -> Any:
    def method(self: Any, other: Any) -> Any:
        return function(other, self)

    return method


def _in_place(sign: str, function: Callable[..., Any]) -> Any:
    """Return an operator that makes a new scalar, as NumPy's do, and writes to no array."""

    def method(self: Any, other: Any) -> Any:
        if self.ndim == 0:
            return function(self, other)
        raise InPlaceError(
            f"{self.label} {sign}= … would overwrite elements that the backward pass may need; "
            f"make a new array: x = x {sign} …"
        )

    return method


def _overwriting(name: str) -> Any:
    """Return a method that would write to the array, and says so."""

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        raise InPlaceError(
            f"{name}() of {self.label} would overwrite elements that the backward pass may need; "
            "make a new array: np.sort(x), np.where(mask, new, x), np.concatenate"
        )

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"Refuse to {name}: elements of an array never change."
    return method


class Operators:
    """What Python and NumPy users write with an array on the left, or on the right."""

    __slots__ = ()

    # fmt: off
    __add__, __radd__           = _as_function(np.add), _reflected(np.add)
    __sub__, __rsub__           = _as_function(np.subtract), _reflected(np.subtract)
    __mul__, __rmul__           = _as_function(np.multiply), _reflected(np.multiply)
    __truediv__, __rtruediv__   = _as_function(np.divide), _reflected(np.divide)
    __floordiv__, __rfloordiv__ = _as_function(np.floor_divide), _reflected(np.floor_divide)
    __mod__, __rmod__           = _as_function(np.remainder), _reflected(np.remainder)
    __pow__, __rpow__           = _as_function(np.power), _reflected(np.power)
    __matmul__, __rmatmul__     = _as_function(np.matmul), _reflected(np.matmul)
    __and__, __rand__           = _as_function(np.bitwise_and), _reflected(np.bitwise_and)
    __or__, __ror__             = _as_function(np.bitwise_or), _reflected(np.bitwise_or)
    __xor__, __rxor__           = _as_function(np.bitwise_xor), _reflected(np.bitwise_xor)
    __neg__, __pos__            = _as_function(np.negative), _as_function(np.positive)
    __abs__                     = _as_function(np.absolute)
    __invert__                  = _as_function(np.invert)
    __lt__, __le__              = _as_function(np.less), _as_function(np.less_equal)
    __gt__, __ge__              = _as_function(np.greater), _as_function(np.greater_equal)
    __eq__, __ne__              = _as_function(np.equal), _as_function(np.not_equal)
    __iadd__, __isub__          = _in_place("+", np.add), _in_place("-", np.subtract)
    __imul__, __itruediv__      = _in_place("*", np.multiply), _in_place("/", np.divide)
    __ipow__, __imatmul__       = _in_place("**", np.power), _in_place("@", np.matmul)
    __ifloordiv__, __imod__     = _in_place("//", np.floor_divide), _in_place("%", np.remainder)
    # fmt: on
    # -- methods, as an ndarray has them ---------------------------------------------------

    # fmt: off
    sum, prod       = _as_function(np.sum), _as_function(np.prod)
    mean            = _as_function(np.mean)
    max, min        = _as_function(np.max), _as_function(np.min)
    var, std        = _as_function(np.var), _as_function(np.std)
    cumsum, cumprod = _as_function(np.cumsum), _as_function(np.cumprod)
    argmax, argmin  = _as_function(np.argmax), _as_function(np.argmin)
    any, all        = _as_function(np.any), _as_function(np.all)
    argsort, dot    = _as_function(np.argsort), _as_function(np.dot)
    nonzero, round  = _as_function(np.nonzero), _as_function(np.round)
    conj, copy      = _as_function(np.conjugate), _as_function(np.copy)
    take, repeat    = _as_function(np.take), _as_function(np.repeat)
    ravel, flatten  = _as_function(np.ravel), _as_function(np.ravel)
    squeeze         = _as_function(np.squeeze)
    swapaxes        = _as_function(np.swapaxes)
    diagonal, trace = _as_function(np.diagonal), _as_function(np.trace)
    T               = property(_as_function(np.transpose))
    mT              = property(lambda self: np.swapaxes(self, -1, -2))  # noqa: N815
    fill, put       = _overwriting("fill"), _overwriting("put")
    sort, partition = _overwriting("sort"), _overwriting("partition")
    resize          = _overwriting("resize")
    # fmt: on

    def reshape(self: Any, *shape: Any, **how: Any) -> Any:
        """Return the same elements in another shape."""
        return np.reshape(self, shape[0] if len(shape) == 1 else shape, **how)

    def clip(self: Any, min: Any = None, max: Any = None) -> Any:
        """Return `np.clip` of the array, as an ndarray's method names its limits."""
        return np.clip(self, min, max)

    def transpose(self: Any, *axes: Any) -> Any:
        """Return the array with its axes in another order, reversed unless told."""
        return np.transpose(self, axes[0] if len(axes) == 1 else axes or None)
