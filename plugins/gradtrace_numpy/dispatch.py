"""What takes the place of NumPy's functions where an operand is an `Array`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from gradtrace_numpy.errors import InPlaceError, NoDerivativeError

__all__ = ["FREE", "WRITING", "call", "functions", "lookup", "overwrites", "spelled"]

functions: dict[Callable[..., Any], Callable[..., Any]] = {}
"""What takes the place of each function of NumPy where an operand is an `Array`."""

FREE = frozenset({
    np.shape, np.ndim, np.size, np.zeros_like, np.ones_like, np.empty_like,
    np.allclose, np.array_equal, np.array_equiv, np.may_share_memory, np.shares_memory,
    np.result_type, np.can_cast, np.iscomplexobj, np.isrealobj,
    np.array_repr, np.array_str, np.array2string,
})  # fmt: skip
"""Functions that tell something of their operands, and through which no value flows."""

WRITING = frozenset({
    np.copyto, np.fill_diagonal, np.place, np.put, np.put_along_axis, np.putmask,
})  # fmt: skip
"""Functions that write to one of their operands."""


def lookup(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """Return what takes the place of a function, which has this name."""
    found = functions.get(function)
    if found is None:
        raise NoDerivativeError(
            f"{name} has no rule in gradtrace_numpy; write it in functions that have one, "
            f"add it with @gradtrace_numpy.primitive, or use it on x.data outside the trace"
        )
    return found


def call(function: Callable[..., Any], name: str, args: Any, kwargs: Any) -> Any:
    """Call what takes the place of a function of NumPy, which may take fewer arguments."""
    try:
        return function(*args, **kwargs)
    except TypeError as error:
        signature = inspect.signature(function)
        try:
            signature.bind(*args, **kwargs)
        except TypeError as misfit:
            taken = ", ".join(signature.parameters)
            raise NoDerivativeError(
                f"{name} has a rule in gradtrace_numpy for {taken} only: {misfit}"
            ) from error
        raise


def spelled(function: Callable[..., Any]) -> str:
    """Return the name of a function as it is written: np.exp, np.linalg.svd.

    >>> spelled(np.exp), spelled(np.linalg.svd)
    ('np.exp', 'np.linalg.svd')
    """
    name = function.__name__
    if isinstance(function, np.ufunc):
        return f"np.{name}" if hasattr(np, name) else name
    return f"{function.__module__}.{name}".replace("numpy", "np", 1)


def overwrites(what: str) -> InPlaceError:
    """Return the error of something that would write to an array."""
    return InPlaceError(
        f"{what} would overwrite elements that the backward pass may need; make a new array, such "
        "as out = out + x, np.where(mask, new, x) or np.concatenate, and use what is returned"
    )
