"""A backend, a renderer with a sink, as somebody else would write them for gradtrace."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from gradtrace.derivative import LocalDerivative
from gradtrace.recording.sample import Step
from gradtrace.render import Figure
from gradtrace.summary import Summary
from gradtrace.tape import Call, Leaf, Options, Tape, Use, Value

__all__ = ["AbacusBackend", "LedgerSink", "OutlineRenderer", "make_strange"]


class AbacusBackend:
    """Records numbers of the abacus."""

    name = "abacus"
    framework = "abacus"

    def recognizes(self, value: object) -> bool:
        """Tell whether `value` is a number of the abacus."""
        from abacus import Number

        return isinstance(value, Number)

    @contextmanager
    def record(self, tape: Tape, options: Options, model: Any = None) -> Iterator[None]:
        """Listen to what is computed in the block, then write it on the tape."""
        from abacus import Number, listeners

        made: list[Number] = []
        listeners.append(made.append)
        try:
            yield
        finally:
            listeners.remove(made.append)
            _write(tape, made)


def _write(tape: Tape, made: list[Any]) -> None:
    values: dict[Any, Value] = {}
    tape.gradients = any(number.gradient for number in made)
    for number in made:
        for operand, _ in number.operands:
            if operand not in values:
                values[operand] = _value(operand)
                tape.steps.append(Leaf("input", (), values[operand]))
        values[number] = _value(number)
        tape.steps.append(Call(number.op, [values[number]], list(_uses(number, values))))
    if tape.gradients:
        values[made[-1]].seed = _summary(1.0)


def _value(number: Any) -> Value:
    return Value(_summary(number.value), _summary(number.gradient), differentiable=True)


def _uses(number: Any, values: dict[Any, Value]) -> Iterator[Use]:
    shares = number.shares or [None] * len(number.operands)
    for index, (operand, slope) in enumerate(number.operands):
        derivative = LocalDerivative("scaled", (), (), array=np.array(slope), gain=abs(slope))
        share = None if shares[index] is None else _summary(shares[index])
        yield Use(str(index), values[operand], derivative, share)


def _summary(number: float) -> Summary:
    return Summary.of(number, keep=True)


class OutlineRenderer:
    """Writes a figure as an outline, a line for each box."""

    name = "outline"
    formats = ("outline",)

    def render(self, figure: Figure, format: str) -> bytes:
        """Return the names of the boxes, each with how many arrows lead to it."""
        heads = [edge.head for edge in figure.edges]
        lines = [f"- {node.node} < {heads.count(node.id)}" for node in figure.nodes]
        return "\n".join(lines).encode()


class LedgerSink:
    """Writes a line for each step."""

    name = "ledger"

    def open(self, target: str, facts: Mapping[str, Any]) -> None:
        """Begin."""
        self._target = Path(target)
        self._lines: list[str] = []

    def write(self, step: Step) -> None:
        """Note the loss of a step."""
        self._lines.append(f"{step.index} {step.scalars['loss']}\n")

    def close(self) -> None:
        """Write the lines."""
        self._target.write_text("".join(self._lines))


def make_strange() -> object:
    """Return what is neither a backend nor a sink."""
    return object()
