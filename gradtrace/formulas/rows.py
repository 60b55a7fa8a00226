"""What a row of the table of formulas says of one operation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Row", "elementwise", "tensor"]

FIRST = frozenset("self input x a x1 input1 data array ary arr logits left 0".split())
"""What frameworks call the first operand."""

SECOND = frozenset("other y b x2 input2 right 1".split())
"""What they call the second."""


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """The formula of one operation, in the notation of `gradtrace.formulas.notation`."""

    ops: tuple[str, ...]
    """What frameworks call it; the first name stands for the row."""
    operands: Mapping[str, frozenset[str]]
    """Each symbol with the names of its argument."""
    value: str
    pullbacks: Mapping[str, str] | None = None
    """What it makes of the upstream gradient `delta`, by operand.

    None for an elementwise operation: SymPy derives its derivatives.
    """
    reference: str = ""
    sign: str | None = None
    """The letter of the function, where it has one: σ."""
    where: str = ""
    """What the names in it mean that are no operands."""

    def symbol(self, operand: str) -> str | None:
        """Return the symbol of the operand called `operand`, None if the row has none for it.

        Operands in a container, `tensors[2]`, share a symbol.
        """
        parts = [re.sub(r"\[.*", "", part) for part in operand.split("+")]
        for symbol, names in self.operands.items():
            if all(part in names for part in parts):
                return symbol
        return None


def elementwise(
    ops: str, value: str, operands: str = "x", *, sign: str | None = None, where: str = ""
) -> Row:
    """Return the row of operations that treat each element by itself.

    >>> elementwise("square", "x**2").symbol("input")
    'x'
    """
    return Row(tuple(ops.split()), _operands(operands), value, sign=sign, where=where)


def tensor(
    ops: str,
    value: str,
    operands: str = "x",
    *,
    reference: str,
    where: str = "",
    **pullbacks: str,
) -> Row:
    """Return the row of operations that mix elements.

    >>> tensor("dot", "sum(a * b)", "a:self b:tensor", a="delta * b", reference="").symbol("tensor")
    'b'
    """
    return Row(
        tuple(ops.split()), _operands(operands), value, pullbacks, reference=reference, where=where
    )


def _operands(text: str) -> dict[str, frozenset[str]]:
    """Read `x:input,self w:weight`; without names, the usual ones of that position."""
    found: dict[str, frozenset[str]] = {}
    for position, part in enumerate(text.split()):
        symbol, _, names = part.partition(":")
        usual = (FIRST, SECOND)[position] if position < 2 else frozenset[str]()
        found[symbol] = frozenset(names.split(",")) | {symbol} if names else usual
    return found
