"""Find the number that a call was given, which is no node, from what it made of its operand."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from gradtrace.analysis.agreement import elements_of
from gradtrace.summary import Summary

__all__ = ["constant"]

Array = npt.NDArray[Any]

PRECISION = 1e-3
"""How well a number must explain all elements, relative; half precision has 3 digits."""

RULES: dict[tuple[str, str], tuple[Callable[[float, float], float], Callable[[Any, Any], Any]]] = {
    ("mul", "x"): (lambda x, y: y / x, lambda x, c: x * c),
    ("div", "x"): (lambda x, y: x * y, lambda x, c: c / x),
    ("sub", "x"): (lambda x, y: x + y, lambda x, c: c - x),
    ("add", "x"): (lambda x, y: y - x, lambda x, c: x + c),
    ("pow", "x"): (lambda x, y: y ** (1 / x), lambda x, c: c**x),
    ("mul", "y"): (lambda x, y: y / x, lambda x, c: x * c),
    ("div", "y"): (lambda x, y: x / y, lambda x, c: x / c),
    ("rdiv", "y"): (lambda x, y: x * y, lambda x, c: c / x),
    ("rsub", "y"): (lambda x, y: x + y, lambda x, c: c - x),
    ("add", "y"): (lambda x, y: y - x, lambda x, c: x + c),
    ("sub", "y"): (lambda x, y: x - y, lambda x, c: x - c),
    ("rpow", "c"): (lambda x, y: y ** (1 / x), lambda x, c: c**x),
    ("pow", "p"): (lambda x, y: math.log(abs(y)) / math.log(abs(x)), lambda x, c: x**c),
}
"""By op and name: the number from one element and its result, and the result that it makes."""

COUNTS = {("mean", "n"), ("var", "n"), ("std", "n")}
"""Names of the number of elements that a reduction takes as one."""


def constant(op: str, name: str, operand: Summary | None, result: Summary | None) -> Any:
    """Return the number called `name` in the formula of `op`, None unless it explains the result.

    `operand` is the one that is a node.

    >>> x, y = Summary.of([3.0, -2.0], keep=True), Summary.of([9.0, 4.0], keep=True)
    >>> constant("pow", "p", x, y)
    2
    >>> constant("mul", "y", x, y) is None
    True
    """
    if (op, name) in COUNTS and operand is not None and result is not None and result.size:
        return operand.size // result.size
    if (op, name) not in RULES or operand is None or result is None:
        return None
    if operand.shape != result.shape or operand.dtype.startswith("complex"):
        return None
    before, after = elements_of(operand), elements_of(result)
    if before is None or after is None or not before.size:
        return None if name == "x" else _from_statistics(op, operand, result)
    return _from_elements(op, name, np.asarray(before, float), np.asarray(after, float))


def _from_elements(op: str, name: str, before: Array, after: Array) -> Any:
    solve, apply = RULES[op, name]
    x, y = before.ravel(), after.ravel()
    usable = np.flatnonzero(np.isfinite(x) & np.isfinite(y) & (x != 0) & (y != 0) & (abs(x) != 1))
    if not usable.size:
        return None
    at = usable[np.argmax(np.abs(x[usable]))]
    with np.errstate(all="ignore"):
        try:
            found = _rounded(float(solve(x[at].item(), y[at].item())))
        except (ValueError, ZeroDivisionError, OverflowError):
            return None
        made = apply(x, found)
        fits = np.allclose(made, y, rtol=PRECISION, atol=PRECISION * np.abs(y).max())
    return found if fits else None


def _from_statistics(op: str, operand: Summary, result: Summary) -> Any:
    """Return what summaries tell: a scale, or that a power was a square."""
    if operand.norm is None or result.norm is None or not operand.norm:
        return None
    if op == "pow" and result.mean is not None:
        square = operand.norm**2 / operand.size
        return 2 if math.isclose(result.mean, square, rel_tol=PRECISION) else None
    if op not in ("mul", "div") or not operand.mean or not result.mean or not result.norm:
        return None
    scale, direct = result.norm / operand.norm, result.mean / operand.mean
    if not math.isclose(scale, abs(direct), rel_tol=PRECISION):
        return None
    factor = math.copysign(scale, direct)
    return _rounded(factor if op == "mul" else 1 / factor)


def _rounded(number: float) -> float | int:
    """Return `number` with the digits that can be trusted."""
    short = float(f"{number:.4g}")
    return int(short) if short == int(short) else short
