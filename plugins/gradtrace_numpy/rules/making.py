"""Ways to write a row of the table, by what is known of the operation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradtrace_numpy.dispatch import functions
from gradtrace_numpy.primitive import DIAGONAL, ZERO, Primitive, Rule, table

__all__ = ["constant", "elementwise", "general", "joint", "linear", "multilinear"]

Function = Callable[..., Any]
Slope = Callable[..., Any] | float


def general(
    name: str,
    forward: Function,
    *pullbacks: Rule,
    pushforwards: Sequence[Rule] = (),
    formulas: Sequence[str | None] = (),
    structure: str | None = None,
    variadic: bool = False,
    operands: Sequence[str] = (),
    replaces: Sequence[Function] = (),
) -> Primitive:
    """Add a row with its pullbacks and pushforwards, which also stands for what it `replaces`."""
    row = Primitive(
        name=name,
        forward=forward,
        pullbacks=pullbacks,
        pushforwards=tuple(pushforwards),
        formulas=tuple(formulas),
        structure=structure,
        variadic=variadic,
        operands=tuple(operands),
    )
    table[name] = row
    functions.update(dict.fromkeys(replaces, row))
    return row


def elementwise(
    forward: Function,
    *slopes: Slope,
    formulas: Sequence[str | None] = (),
    name: str | None = None,
    replaces: Sequence[Function] = (),
) -> Primitive:
    """Add an operation on each element, by its slope for each operand: ∂yᵢ/∂xᵢ.

    A slope is a number, or takes `(result, *operands)`. The local derivative is diag(slope), which
    is its own transpose: pullback and pushforward both multiply by it.
    """
    rules = tuple(map(_times, slopes))
    replaces = [*replaces, forward] if isinstance(forward, np.ufunc) else replaces
    name = name or forward.__name__
    return general(
        name,
        forward,
        *rules,
        pushforwards=rules,
        formulas=formulas,
        structure=DIAGONAL if any(slopes) else ZERO,
        replaces=replaces,
    )


def _times(slope: Slope) -> Rule:
    if callable(slope):
        return lambda v, y, *xs, **kw: v * slope(y, *xs, **kw)
    if slope == 1:
        return lambda v, y, *xs, **kw: v
    return lambda v, y, *xs, **kw: v * slope


def linear(
    name: str,
    forward: Function,
    pullback: Rule,
    *,
    structure: str | None = None,
    replaces: Sequence[Function] = (),
) -> Primitive:
    """Add an operation that is linear in its one operand: the pushforward is the operation."""

    def push(tangent: Any, y: Any, x: Any, **arguments: Any) -> Any:
        return forward(tangent, **arguments)

    return general(
        name, forward, pullback, pushforwards=[push], structure=structure, replaces=replaces
    )


def multilinear(
    name: str,
    forward: Function,
    *pullbacks: Rule,
    replaces: Sequence[Function] = (),
    variadic: bool = False,
    operands: Sequence[str] = (),
) -> Primitive:
    """Add an operation that is linear in each operand, the others held: a product of some kind."""

    def push_at(position: int) -> Rule:
        def push(tangent: Any, y: Any, *xs: Any, **arguments: Any) -> Any:
            return forward(*xs[:position], tangent, *xs[position + 1 :], **arguments)

        return push

    def push_any(tangent: Any, y: Any, *xs: Any, position: int, **arguments: Any) -> Any:
        return forward(*xs[:position], tangent, *xs[position + 1 :], **arguments)

    return general(
        name,
        forward,
        *pullbacks,
        pushforwards=[push_any] if variadic else [push_at(i) for i in range(len(pullbacks))],
        variadic=variadic,
        operands=operands,
        replaces=replaces,
    )


def joint(name: str, forward: Function, pullback: Rule, *, operands: Sequence[str]) -> Primitive:
    """Add an operation that is linear in all its operands together, such as joining them."""

    def push(tangent: Any, y: Any, *xs: Any, position: int, **arguments: Any) -> Any:
        alone = [tangent if i == position else np.zeros_like(x) for i, x in enumerate(xs)]
        return forward(*alone, **arguments)

    return general(name, forward, pullback, pushforwards=[push], variadic=True, operands=operands)


def constant(function: Function, *, name: str | None = None) -> Primitive:
    """Add an operation without derivative: comparison, logic, or counting."""
    return general(name or function.__name__, function, replaces=[function])
