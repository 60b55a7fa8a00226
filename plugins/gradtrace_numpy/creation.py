"""What the user begins and ends with: arrays from numbers, gradients from arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from gradtrace.errors import OptionError, require_choice
from gradtrace_numpy.arrays import Array, plain
from gradtrace_numpy.backward import backward, why_not
from gradtrace_numpy.errors import BackwardError

__all__ = ["array", "gradients", "parameter"]


def array(
    data: npt.ArrayLike,
    *,
    dtype: npt.DTypeLike | None = None,
    name: str | None = None,
    kind: str = "input",
    differentiable: bool | None = None,
) -> Array:
    """Return an `Array` of a copy of `data`, from which calls are traced and gradients found.

    Args:
        data: Whatever `np.array` takes.
        dtype: Type of the elements, that of `data` unless told.
        name: What the graph calls it; else the name of the variable that holds it.
        kind: What it is in the model: an `"input"`, `"parameter"`, `"buffer"` or `"constant"`.
        differentiable: Whether gradients flow to it; those of floats do unless told.

    >>> array([1.0, 2.0], name="w")
    Array([1., 2.], name='w')
    """
    require_choice("kind", kind, ("input", "parameter", "buffer", "constant"))
    elements = np.array(plain(data), dtype=dtype)
    if elements.dtype.kind not in "fiubc":
        raise BackwardError(
            f"{name or 'an array'} of {elements.dtype} holds no numbers; give it floats, such as "
            "array([1.0, 2.0])"
        )
    real = bool(np.issubdtype(elements.dtype, np.floating))
    if differentiable and not real:
        raise BackwardError(
            f"{name or 'an array'} of {elements.dtype} has no gradient, for only floats vary "
            f"smoothly; give it floats: array(..., dtype=float)"
        )
    wanted = real if differentiable is None else differentiable
    return Array(elements, differentiable=wanted, kind=kind, name=name)


def parameter(
    data: npt.ArrayLike, *, dtype: npt.DTypeLike | None = None, name: str | None = None
) -> Array:
    """Return an `Array` that is learned: `array(data, kind="parameter")`."""
    return array(data, dtype=dtype, name=name, kind="parameter", differentiable=True)


def gradients(
    output: Array,
    inputs: Sequence[Array],
    seed: npt.ArrayLike | None = None,
    *,
    keep_graph: bool = False,
    create_graph: bool = False,
) -> list[Any]:
    """Return the gradient of `output` by each of `inputs`, 0 where it does not depend on one.

    Nothing is added to any `grad`. The options are those of `Array.backward`.

    >>> x = array(2.0)
    >>> (slope,) = gradients(x**3, [x], create_graph=True)
    >>> gradients(slope, [x])
    [array(12.)]
    """
    if isinstance(inputs, Array):
        raise OptionError("gradients takes a list of inputs: gradients(output, [x])")
    if not isinstance(output, Array):
        raise BackwardError(
            f"the output is {type(output).__name__}, no Array: it was not made from arrays, or it "
            "has dropped out of the trace; compute it from arrays with functions of NumPy"
        )
    for each in inputs:
        if not each.differentiable:
            raise BackwardError(why_not(each))
    found = backward([(output, seed)], keep_graph=keep_graph, create_graph=create_graph)
    held = {each.serial: gradient for each, gradient in found}
    zero = (np.zeros(each.shape, each.dtype) for each in inputs)
    shares = [held.get(each.serial, none) for each, none in zip(inputs, zero, strict=True)]
    return [share if isinstance(share, Array) else np.asarray(share) for share in shares]
