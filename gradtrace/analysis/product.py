"""Multiply and add local derivatives, in the cheapest structure that stays true."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from gradtrace.derivative import LIMIT, LocalDerivative

__all__ = ["add", "compose", "identity", "inject", "select", "unknown", "zero"]

Array = npt.NDArray[Any]
Shape = tuple[int, ...]

ELEMENTWISE = ("identity", "scaled", "diagonal")


def identity(shape: Shape) -> LocalDerivative:
    """Return the derivative of a value of `shape` by itself."""
    return LocalDerivative("identity", shape, shape, norm=math.sqrt(math.prod(shape)))


def inject(result: Shape, part: Shape, offset: int) -> LocalDerivative:
    """Return the derivative of joined results by the one of them that begins at `offset`.

    >>> inject((3,), (2,), 1).array
    array([[0., 0.],
           [1., 0.],
           [0., 1.]])
    """
    if result == part:
        return identity(part)
    if _size(result, part) > LIMIT:
        return unknown(result, part, _too_large((result, part), LIMIT))
    return _dense(result, part, np.eye(math.prod(result), math.prod(part), -offset))


def zero(result: Shape, operand: Shape) -> LocalDerivative:
    """Return the derivative of a result that does not depend on the operand."""
    return LocalDerivative("zero", result, operand, norm=0.0)


def unknown(result: Shape, operand: Shape, reason: str) -> LocalDerivative:
    """Return a derivative of which only its gain can be measured."""
    return LocalDerivative("operator", result, operand, reason=reason)


def compose(
    outer: LocalDerivative, inner: LocalDerivative, *, limit: int = LIMIT
) -> LocalDerivative:
    """Return ∂result/∂operand from `outer`, ∂result/∂middle, and `inner`, ∂middle/∂operand.

    >>> double = LocalDerivative("scaled", (2,), (2,), array=np.array(2.0))
    >>> compose(double, identity((2,)))
    LocalDerivative(scaled, (2,) × (2,), norm=2.828)
    """
    shapes = outer.result_shape, inner.operand_shape
    if "zero" in (outer.structure, inner.structure):
        return zero(*shapes)
    reason = _unfit(outer) or _unfit(inner)
    if reason is not None:
        return unknown(*shapes, reason)
    if outer.structure in ELEMENTWISE and inner.structure in ELEMENTWISE:
        return _elementwise(*shapes, _factor(outer) * _factor(inner))
    if _size(*shapes) > limit:
        return unknown(*shapes, _too_large(shapes, limit))
    with np.errstate(all="ignore"):
        if outer.structure in ELEMENTWISE:
            return _dense(*shapes, _factor(outer).reshape(-1, 1) * _matrix(inner))
        if inner.structure in ELEMENTWISE:
            return _dense(*shapes, _matrix(outer) * _factor(inner).reshape(1, -1))
        return _dense(*shapes, _matrix(outer) @ _matrix(inner))


def add(one: LocalDerivative, other: LocalDerivative, *, limit: int = LIMIT) -> LocalDerivative:
    """Return the sum of the derivatives along two ways from one operand to one result.

    >>> add(identity((2,)), identity((2,)))
    LocalDerivative(scaled, (2,) × (2,), norm=2.828)
    """
    shapes = one.result_shape, one.operand_shape
    if "zero" in (one.structure, other.structure):
        return other if one.structure == "zero" else one
    reason = _unfit(one) or _unfit(other)
    if reason is not None:
        return unknown(*shapes, reason)
    if one.structure in ELEMENTWISE and other.structure in ELEMENTWISE:
        return _elementwise(*shapes, _factor(one) + _factor(other))
    if _size(*shapes) > limit:
        return unknown(*shapes, _too_large(shapes, limit))
    return _dense(*shapes, _matrix(one) + _matrix(other))


def select(part: Shape, total: Shape, offset: int) -> LocalDerivative:
    """Return the derivative of the part that begins at `offset` by joined results.

    >>> select((2,), (3,), 1).array
    array([[0., 1., 0.],
           [0., 0., 1.]])
    """
    if part == total:
        return identity(part)
    if _size(part, total) > LIMIT:
        return unknown(part, total, _too_large((part, total), LIMIT))
    return _dense(part, total, np.eye(math.prod(part), math.prod(total), offset))


def _unfit(derivative: LocalDerivative) -> str | None:
    """Return why a derivative cannot be a factor."""
    if not derivative.exact:
        return derivative.reason or "a factor of it was traced for its gain only"
    if derivative.array is not None and not bool(np.isfinite(derivative.array).all()):
        return "a factor of it holds NaN or infinity"
    return None


def _factor(derivative: LocalDerivative) -> Array:
    """Return what an elementwise derivative multiplies by: a scalar, or one number an element."""
    if derivative.array is None:
        return np.array(1.0)
    wide = derivative.array.astype(np.result_type(derivative.array, np.float64))
    return wide.reshape(() if derivative.structure == "scaled" else -1)


def _matrix(derivative: LocalDerivative) -> Array:
    rows, columns = math.prod(derivative.result_shape), math.prod(derivative.operand_shape)
    if derivative.structure == "zero":
        return np.zeros((rows, columns))
    if derivative.structure in ELEMENTWISE:
        return np.eye(rows) * _factor(derivative)
    assert derivative.array is not None
    wide = np.result_type(derivative.array, np.float64)
    return derivative.array.reshape(rows, columns).astype(wide, copy=False)


def _elementwise(result: Shape, operand: Shape, factor: Array) -> LocalDerivative:
    factor = np.asarray(factor)
    if factor.ndim:
        norm = float(np.linalg.norm(factor))
        array = factor.reshape(operand)
        return LocalDerivative("diagonal", result, operand, array=array, norm=norm)
    if factor == 1:
        return LocalDerivative("identity", result, operand, norm=math.sqrt(math.prod(operand)))
    norm = abs(factor.item()) * math.sqrt(math.prod(operand))
    return LocalDerivative("scaled", result, operand, array=factor, norm=norm)


def _dense(result: Shape, operand: Shape, matrix: Array) -> LocalDerivative:
    array = matrix.reshape(*result, *operand)
    return LocalDerivative("dense", result, operand, array=array, norm=float(np.linalg.norm(array)))


def _size(result: Shape, operand: Shape) -> int:
    return math.prod(result) * math.prod(operand)


def _too_large(shapes: tuple[Shape, Shape], limit: int) -> str:
    return f"the product has {_size(*shapes):,} elements, over the limit of {limit:,}"
