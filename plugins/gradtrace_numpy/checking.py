"""Gradients against central differences, the definition of a derivative."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradtrace.errors import OptionError
from gradtrace_numpy.arrays import Array, NDArray, plain
from gradtrace_numpy.backward import backward
from gradtrace_numpy.creation import array
from gradtrace_numpy.errors import GradientCheckError
from gradtrace_numpy.listening import listen

__all__ = ["GradientCheck", "OperandCheck", "check_gradient"]

STEP = float(np.finfo(float).eps) ** (1 / 3)
"""Balances the error of the formula, step², against that of rounding, eps / step."""


@dataclass(frozen=True, slots=True)
class OperandCheck:
    """How the gradient of one operand compares with central differences."""

    operand: str
    error: float
    """The largest difference, relative to the largest magnitude of either."""
    index: tuple[int, ...]
    """Where the difference is largest."""
    found: float
    expected: float
    ok: bool

    def __str__(self) -> str:
        if self.ok:
            return f"{self.operand}: right (relative error {self.error:.2g})"
        where = f"[{', '.join(map(str, self.index))}]" if self.index else ""
        return (
            f"{self.operand}: wrong by {self.error:.2g} relative; at {self.operand}{where} the "
            f"gradient is {self.found:.6g}, central differences say {self.expected:.6g}"
        )


@dataclass(frozen=True, slots=True)
class GradientCheck:
    """The outcome for every operand; true if all are right."""

    operands: tuple[OperandCheck, ...]

    @property
    def ok(self) -> bool:
        """Whether every gradient is right."""
        return all(each.ok for each in self.operands)

    @property
    def error(self) -> float:
        """The largest relative error."""
        return max((each.error for each in self.operands), default=0.0)

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        return "\n".join(map(str, self.operands))


def check_gradient(
    f: Callable[..., Any], *xs: Any, tolerance: float = 1e-6, raises: bool = True
) -> GradientCheck:
    """Compare the gradients of `f` at `xs` with central differences in float64.

    A result that is no scalar is weighted with random numbers, always the same, and added up.
    Operands of integers or booleans are held; at least one has to be of floats.

    Args:
        f: A deterministic function of arrays.
        xs: Its operands.
        tolerance: The relative error up to which a gradient is right.
        raises: Whether to raise `GradientCheckError` where one is wrong; else it is returned.

    >>> print(check_gradient(lambda x, y: x * np.sin(y), [1.0, 2.0], 0.5))
    x: right (relative error ...)
    y: right (relative error ...)
    """
    inputs = [np.array(plain(x)) for x in xs]
    inputs = [x.astype(np.float64) if x.dtype.kind == "f" else x for x in inputs]
    if not any(x.dtype.kind == "f" for x in inputs):
        kinds = ", ".join(str(x.dtype) for x in inputs)
        raise OptionError(
            f"there is nothing to check: the operands are {kinds or 'none'}, and only floats have "
            "gradients; write 2.0 for 2, or pass x.astype(float)"
        )
    names = _names(f, len(inputs))
    with listen(None):
        gradients, weights = _gradients(f, inputs, names)
        checks = tuple(
            _compare(
                name, gradients[position], _differences(f, inputs, position, weights), tolerance
            )
            for position, name in enumerate(names)
            if inputs[position].dtype.kind == "f"
        )
    outcome = GradientCheck(checks)
    if raises and not outcome.ok:
        what = getattr(f, "name", getattr(f, "__name__", "the function"))
        raise GradientCheckError(f"the derivative of {what} is wrong:\n{outcome}")
    return outcome


def _gradients(
    f: Callable[..., Any], inputs: list[NDArray], names: list[str]
) -> tuple[list[NDArray], NDArray]:
    """Return the gradient of every operand, with the weights of the results."""
    arrays = [array(x, name=name) for x, name in zip(inputs, names, strict=True)]
    result = f(*arrays)
    if isinstance(result, tuple | list):
        raise OptionError(
            f"the function returns {len(result)} results, and one is checked at a time; return "
            "one of them, or np.concatenate of all"
        )
    shape = np.shape(result)
    weights = np.random.default_rng(0).standard_normal(shape) if shape else np.ones(())
    if not isinstance(result, Array) or not result.differentiable:
        return [np.zeros(x.shape) for x in inputs], weights
    found = {each.serial: gradient for each, gradient in backward([(result, weights)])}
    return [found.get(each.serial, np.zeros(each.shape)) for each in arrays], weights


def _differences(
    f: Callable[..., Any], inputs: list[NDArray], position: int, weights: NDArray
) -> NDArray:
    """Return (f(x + h) − f(x − h)) / 2h for every element x of the operand at `position`."""
    x = inputs[position]
    slopes = np.empty(x.shape)
    for index in np.ndindex(x.shape):
        step = STEP * max(1.0, abs(float(x[index])))
        ends = []
        for moved in (x[index] + step, x[index] - step):
            changed = x.copy()
            changed[index] = moved
            operands = [array(changed if i == position else y) for i, y in enumerate(inputs)]
            ends.append((float(moved), plain(f(*operands))))
        (above, high), (below, low) = ends
        slopes[index] = np.sum(weights * (high - low)) / (above - below)
    return slopes


def _compare(name: str, found: NDArray, expected: NDArray, tolerance: float) -> OperandCheck:
    if not found.size:
        return OperandCheck(name, 0.0, (), 0.0, 0.0, True)
    gap = np.abs(found - expected)
    gap = np.where(np.isnan(gap), np.inf, gap)
    scale = max(1e-3, float(np.abs(found).max()), float(np.abs(expected).max()))
    index = tuple(int(i) for i in np.unravel_index(int(gap.argmax()), gap.shape))
    error = float(gap[index]) / scale if np.isfinite(scale) else float("inf")
    return OperandCheck(
        name, error, index, float(found[index]), float(expected[index]), error <= tolerance
    )


def _names(f: Callable[..., Any], count: int) -> list[str]:
    operands = getattr(f, "operands", None)
    if operands is None:
        try:
            operands = tuple(inspect.signature(f).parameters)
        except (TypeError, ValueError):
            operands = ()
    return [operands[i] if i < len(operands) else f"operand {i}" for i in range(count)]
