"""Tell whether a formula gives the derivative that was recorded.

A call can have arguments that its row does not speak of: `add(x, y, alpha=2)`, `gelu` in another
approximation, batch normalization that is not training. Such a formula is not shown.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from gradtrace.analysis.agreement import elements_of
from gradtrace.derivative import LocalDerivative
from gradtrace.formulas import Row, derivative
from gradtrace.summary import Summary

__all__ = ["agrees"]

Array = npt.NDArray[Any]

ELEMENTWISE = ("identity", "scaled", "diagonal")

LARGEST = 4096
"""Elements up to which a formula is evaluated at each."""

TOLERANCES = {"float64": 1e-6, "float32": 2e-5}
"""How far a formula may be off, relative to the largest; other types are coarser."""

KINKS = 0.9
"""Part of the elements at which it must hold: at a kink, any slope between is right."""

FUNCTIONS = {"erf": np.vectorize(math.erf), "erfc": np.vectorize(math.erfc)}
"""What NumPy lacks."""


def agrees(row: Row, symbol: str, values: Mapping[str, object], local: LocalDerivative) -> bool:
    """Tell whether `row` gives `local` at the values of its operands.

    Where one of them is not known, nothing speaks against it.
    """
    if row.pullbacks is not None:
        return not ("std" in row.where and local.structure in ELEMENTWISE)
    slopes = _slopes(local)
    if slopes is None or slopes.size > LARGEST:
        return True
    function, names = _compiled(row, symbol)
    arguments = [_elements(values.get(name), slopes.shape) for name in names]
    known = [argument for argument in arguments if argument is not None]
    if len(known) < len(arguments):
        return True
    with np.errstate(all="ignore"):
        try:
            found = np.broadcast_to(np.asarray(function(*known), np.float64), slopes.shape)
        except (NameError, TypeError, ValueError):  # a function that NumPy does not have
            return True
    close = np.isclose(found, slopes, rtol=0.0, atol=_tolerance(values) * _scale(slopes))
    return bool(np.mean(close | ~np.isfinite(slopes)) >= KINKS)


def _slopes(local: LocalDerivative) -> Array | None:
    """Return the derivative at each element, None where it is not known."""
    if local.structure not in ELEMENTWISE or not math.prod(local.operand_shape):
        return None
    factor = np.asarray(1.0 if local.array is None else local.array)
    wide = factor.reshape(local.operand_shape) if factor.ndim else factor
    return np.broadcast_to(wide, local.operand_shape).astype(np.float64)


def _elements(value: object, shape: tuple[int, ...]) -> Array | None:
    elements = elements_of(value) if isinstance(value, Summary) else None
    if elements is None:
        return None
    try:
        return np.broadcast_to(elements.astype(np.float64), shape)
    except ValueError:
        return None


def _tolerance(values: Mapping[str, object]) -> float:
    known = [value for value in values.values() if isinstance(value, Summary)]
    return max((TOLERANCES.get(value.dtype, 0.05) for value in known), default=0.05)


def _scale(slopes: Array) -> float:
    return float(np.abs(slopes[np.isfinite(slopes)]).max(initial=0.0))


@lru_cache(maxsize=256)
def _compiled(row: Row, symbol: str) -> tuple[Callable[..., Any], tuple[str, ...]]:
    """Return the derivative as a function of the symbols in it."""
    import sympy

    expression = derivative(row, symbol)
    names = tuple(sorted(str(each) for each in expression.free_symbols))
    return sympy.lambdify(names, expression, [FUNCTIONS, "numpy"]), names
