"""Formulas: for each operation its value, with its local derivative by each operand.

One row an operation, in a file a family. The derivative of an elementwise operation is derived by
SymPy; the others say what they make of the upstream gradient, with a reference. What a row says is
evaluated in the tests, so that what is read is what was checked.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from gradtrace.formulas import (
    activations,
    algebra,
    arithmetic,
    functions,
    indexing,
    losses,
    networks,
    reductions,
    shapes,
)
from gradtrace.formulas.notation import names_in, parse
from gradtrace.formulas.rows import Row
from gradtrace.formulas.writing import write

if TYPE_CHECKING:
    import sympy

__all__ = ["ROWS", "Row", "derivative", "find", "formula"]

ROWS: tuple[Row, ...] = (
    *activations.ROWS,
    *functions.ROWS,
    *arithmetic.ROWS,
    *algebra.ROWS,
    *reductions.ROWS,
    *shapes.ROWS,
    *indexing.ROWS,
    *networks.ROWS,
    *losses.ROWS,
)

_BY_OP = {op: row for row in ROWS for op in row.ops}


def find(op: str | None) -> Row | None:
    """Return the row of the operation that a framework calls `op`, None if there is none.

    An operation in place, `relu_`, has the formula of that which is not.
    """
    if op is None:
        return None
    return _BY_OP.get(op) or _BY_OP.get(op.rstrip("_"))


@lru_cache(maxsize=1024)
def formula(op: str | None, operand: str) -> sympy.Expr | str | None:
    r"""Return ∂result/∂operand: a SymPy expression where `op` is elementwise, else LaTeX.

    The LaTeX says what the pullback makes of the upstream gradient δ. None where no row has it.

    >>> formula("square", "input")
    2*x
    >>> formula("linear", "weight")
    '\\delta^{\\top} \\, x'
    >>> formula("my_op", "input") is None
    True
    """
    row = find(op)
    symbol = row.symbol(operand) if row else None
    if row is None or symbol is None:
        return None
    if row.pullbacks is None:
        return derivative(row, symbol)
    text = row.pullbacks.get(symbol)
    return None if text is None else write(parse(text), {}, latex=True)


@lru_cache(maxsize=1024)
def derivative(row: Row, symbol: str) -> sympy.Expr:
    """Return the derivative of an elementwise row by one of its operands, made by SymPy."""
    import sympy

    names = names_in(parse(row.value)) - {"pi", "True"}
    real = {name: sympy.Symbol(name, real=True) for name in names | {symbol}}
    value = sympy.sympify(row.value, locals=real)
    slope = value.diff(real[symbol])
    slope = min(sympy.powsimp(slope), sympy.piecewise_fold(slope), key=sympy.count_ops)
    return slope.xreplace({each: sympy.Symbol(name) for name, each in real.items()})
