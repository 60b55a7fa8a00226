"""A backend, a renderer, a rule and a sink, as somebody else would write them for gradtrace."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from gradtrace.analysis.diagnose import Finding, Rule, Thresholds
from gradtrace.derivative import LocalDerivative
from gradtrace.recording.sample import Step
from gradtrace.render import Figure
from gradtrace.summary import Summary
from gradtrace.tape import Call, Leaf, Options, Tape, Use, Value

__all__ = ["AbacusBackend", "LedgerSink", "OutlineRenderer", "make_rule", "make_strange"]


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
        earlier: dict[Number, float] = {}

        def listen(number: Number) -> None:
            made.append(number)
            for operand, _ in number.operands:
                earlier.setdefault(operand, operand.gradient)

        listeners.append(listen)
        try:
            yield
        finally:
            listeners.remove(listen)
            _write(tape, options, made, earlier)


def _write(tape: Tape, options: Options, made: list[Any], earlier: dict[Any, float]) -> None:
    values: dict[Any, Value] = {}
    tape.gradients = any(number.shares for number in made)
    keep = options.keep != "summary"

    def value(number: Any) -> Value:
        gradient = number.gradient - earlier.get(number, 0.0)
        upstream = Summary.of(gradient, keep=keep) if tape.gradients else None
        return Value(Summary.of(number.value, keep=keep), upstream, differentiable=True)

    for number in made:
        for operand, _ in number.operands:
            if operand not in values:
                values[operand] = value(operand)
                tape.steps.append(Leaf("input", (), values[operand]))
        values[number] = value(number)
        if number.seed is not None:
            values[number].seed = Summary.of(number.seed, keep=keep)
        uses = list(_uses(number, values, options))
        tape.steps.append(Call(number.op, [values[number]], uses))


def _uses(number: Any, values: dict[Any, Value], options: Options) -> Iterator[Use]:
    shares = number.shares or [None] * len(number.operands)
    for index, (operand, slope) in enumerate(number.operands):
        share, exact = shares[index], options.derivatives == "exact"
        derivative = LocalDerivative(
            "scaled" if exact else "operator",
            (),
            (),
            np.array(slope) if exact else None,
            norm=abs(slope),
            gain=None if share is None else abs(slope),
        )
        downstream = None if share is None else Summary.of(share, keep=options.keep != "summary")
        yield Use(str(index), values[operand], derivative, downstream)


class OutlineRenderer:
    """Writes a figure as an outline, a line for each box."""

    name = "outline"
    formats = ("outline",)

    def render(self, figure: Figure, format: str) -> bytes:
        """Return the names of the boxes, each with how many arrows lead to it."""
        heads = [edge.head for edge in figure.edges]
        lines = [f"- {node.node} < {heads.count(node.id)}" for node in figure.nodes]
        return "\n".join(lines).encode()


def make_rule() -> Rule:
    """Return a rule that notes even numbers."""
    return Rule("even", "note", "even numbers", _find_even)


def _find_even(graph: Any, thresholds: Thresholds) -> Iterator[Finding]:
    for node, value in graph.nodes(data="value"):
        if value.mean % 2 == 0:
            numbers = {"value": value.mean}
            yield Finding("even", "note", node, None, numbers, "it is even", "add 1")


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
    """Return what is no plugin of any kind."""
    return object()
