"""Operations as rows of a table: how to compute them, and how gradients go through them.

Pullbacks and pushforwards are plain NumPy code. Given ndarrays they just compute; given arrays
they are traced like any other code, and gradients of gradients need nothing more.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradtrace.errors import OptionError
from gradtrace_numpy.arrays import Array
from gradtrace_numpy.calls import Call
from gradtrace_numpy.errors import NoDerivativeError, ShapeError
from gradtrace_numpy.listening import listener

__all__ = ["DIAGONAL", "IDENTITY", "ZERO", "Primitive", "Rule", "primitive", "table"]

Rule = Callable[..., Any] | None
"""`rule(upstream or tangent, result, *operands, **arguments)`; with several results, tuples."""

IDENTITY = "identity"
"""The result has the elements of the operand, in their order."""
DIAGONAL = "diagonal"
"""Each element of the result depends on one element of each operand."""
ZERO = "zero"
"""The result is the same for operands nearby."""

_MATMUL = re.compile(r".*mismatch in its core dimension.* \(size (\d+) is different from (\d+)\)")
"""What NumPy says of matrices that do not fit."""
_SUMMED = r"the axis that is summed over has \2 elements in one, \1 in the other"

table: dict[str, Primitive] = {}
"""Every operation of the engine by its name, one row each."""


@dataclass(eq=False, kw_only=True)
class Primitive:
    """One operation with its derivative.

    A variadic operation takes any number of operands by the last of its names, and has one
    pullback for all of them that is told the `position` of the operand.
    """

    name: str
    forward: Callable[..., Any]
    pullbacks: tuple[Rule, ...] = ()
    pushforwards: tuple[Rule, ...] = ()
    formulas: tuple[str | None, ...] = ()
    """∂result/∂operand for each operand, as SymPy reads it, in the names of the operands."""
    structure: str | None = None
    """`IDENTITY`, `DIAGONAL` or `ZERO`, where the local derivative always is that."""
    variadic: bool = False
    operands: tuple[str, ...] = ()
    arguments: tuple[str, ...] = field(default=(), init=False)
    """Names of what is no operand, in the order in which NumPy takes it."""

    def __post_init__(self) -> None:
        names, arguments = _signature(self.forward)
        self.operands = self.operands or names
        self.arguments = arguments

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the operation, and remember the call where an operand is an `Array`."""
        operands, arguments = self._arrange(args, kwargs)
        if not any(isinstance(operand, Array) for operand in operands):
            return self.forward(*operands, **arguments)
        inputs = tuple(map(_settled, operands))
        try:
            made = self.forward(*inputs, **arguments)
        except np.linalg.LinAlgError:
            raise
        except (ValueError, IndexError) as error:
            raise ShapeError(self._misfit(inputs, error)) from error
        call = Call(self, operands, inputs, arguments)
        results = call.give(made)
        hears = listener()
        if hears is not None:
            hears.called(call, results)
        return tuple(results) if call.several else results[0]

    def pull(self, position: int, upstream: Any, result: Any, operands: Any, arguments: Any) -> Any:
        """Map the upstream gradient of the result to the share of one operand."""
        rule, told = self._rule(self.pullbacks, position, "derivative")
        return rule(upstream, result, *operands, **arguments, **told)

    def push(self, position: int, tangent: Any, result: Any, operands: Any, arguments: Any) -> Any:
        """Map the tangent of one operand to that of the result."""
        rule, told = self._rule(self.pushforwards, position, "pushforward")
        return rule(tangent, result, *operands, **arguments, **told)

    def can_push(self, position: int) -> bool:
        """Tell whether the operand at `position` has a pushforward."""
        index = 0 if self.variadic else position
        return index < len(self.pushforwards) and self.pushforwards[index] is not None

    def operand(self, position: int) -> str:
        """Return the name of the operand at `position`."""
        fixed = len(self.operands) - self.variadic
        if position < fixed:
            return self.operands[position]
        return f"{self.operands[-1]}[{position - fixed}]" if self.variadic else str(position)

    def formula(self, position: int) -> Any:
        """Return the symbolic local derivative as a SymPy expression, None where there is none.

        >>> import gradtrace_numpy
        >>> table["sin"].formula(0)
        cos(x)
        """
        text = self.formulas[position] if position < len(self.formulas) else None
        if text is None:
            return None
        import sympy  # takes longer to import than all of the engine

        return sympy.sympify(text, locals={name: sympy.Symbol(name) for name in self.operands})

    def _rule(self, rules: tuple[Rule, ...], position: int, what: str) -> Any:
        index = 0 if self.variadic else position
        rule = rules[index] if index < len(rules) else None
        if rule is None:
            raise NoDerivativeError(
                f"{self.name} has no {what} for its operand {self.operand(position)!r}; use "
                f"x.detach() where no gradient is meant to flow, or give it one: "
                f"@gradtrace_numpy.primitive"
            )
        return rule, {"position": position} if self.variadic else {}

    def _arrange(self, args: Any, kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Tell operands from arguments, as NumPy takes both by position or by name."""
        if self.variadic:
            return tuple(args), kwargs
        count = len(self.operands)
        if not kwargs and len(args) <= count:
            return tuple(args), {}
        given = dict(zip((*self.operands, *self.arguments), args, strict=False)) | kwargs
        unknown = [
            name
            for name, value in given.items()
            if name not in self.operands
            and name not in self.arguments
            and not (value is None or value is np._NoValue or (name == "where" and value is True))
        ]
        if unknown or len(args) > count + len(self.arguments):
            what = f"{unknown[0]}=…" if unknown else "more arguments"
            raise NoDerivativeError(
                f"{self.name}(…, {what}) has no rule in gradtrace_numpy; it takes "
                f"{', '.join((*self.operands, *self.arguments))}"
            )
        last = max(i for i, name in enumerate(self.operands) if name in given)
        operands = [given.get(name) for name in self.operands[: last + 1]]
        arguments = {
            name: given[name]
            for name in self.arguments
            if name in given and given[name] is not np._NoValue
        }
        return tuple(operands), arguments

    def _misfit(self, inputs: tuple[Any, ...], error: Exception) -> str:
        shapes = [f"{self.operand(i)} {np.shape(x)}" for i, x in enumerate(inputs) if x is not None]
        reason = _MATMUL.sub(_SUMMED, str(error))
        return f"{self.name} cannot take operands of these shapes: {', '.join(shapes)}; {reason}"


def primitive(
    *pullbacks: Rule,
    pushforwards: Sequence[Rule] = (),
    formulas: Sequence[str | None] = (),
    name: str | None = None,
    structure: str | None = None,
) -> Callable[[Callable[..., Any]], Primitive]:
    """Make a function of ndarrays an operation, with a pullback for each of its operands.

    Positional parameters of the function are operands, keyword-only ones are arguments. A pullback
    takes `(upstream, result, *operands)`, and is best written in functions of NumPy: then it has
    a derivative itself.

    >>> @primitive(lambda upstream, y, x: upstream * 3 * x**2)
    ... def cube(x):
    ...     return x**3
    >>> from gradtrace_numpy import array
    >>> x = array([1.0, 2.0])
    >>> cube(x).sum().backward()
    >>> x.grad
    array([ 3., 12.])
    """

    def define(forward: Callable[..., Any]) -> Primitive:
        if not callable(forward):
            raise OptionError(
                "@primitive is given the pullbacks before the function: "
                "@primitive(lambda upstream, result, x: ...)"
            )
        return Primitive(
            name=name or forward.__name__,
            forward=forward,
            pullbacks=pullbacks,
            pushforwards=tuple(pushforwards),
            formulas=tuple(formulas),
            structure=structure,
        )

    return define


def _settled(operand: Any) -> Any:
    """Return the elements of an operand as they are now, whatever is written to it later."""
    if isinstance(operand, Array):
        return operand.data
    if isinstance(operand, list | tuple) or (
        isinstance(operand, np.ndarray) and _may_change(operand)
    ):
        return np.array(operand)
    return operand


def _may_change(elements: Any) -> bool:
    """Tell whether somebody may write to the memory of an ndarray, or to that of what it views."""
    while isinstance(elements, np.ndarray):
        if elements.flags.writeable:
            return True
        elements = elements.base
    return elements is not None


def _signature(forward: Callable[..., Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of operands and of arguments."""
    if isinstance(forward, np.ufunc):
        return ("x",) if forward.nin == 1 else tuple(f"x{i + 1}" for i in range(forward.nin)), ()
    parameters = inspect.signature(forward).parameters.values()
    kinds = inspect.Parameter
    operands = [p.name for p in parameters if p.kind is not kinds.KEYWORD_ONLY]
    return tuple(operands), tuple(p.name for p in parameters if p.kind is kinds.KEYWORD_ONLY)
