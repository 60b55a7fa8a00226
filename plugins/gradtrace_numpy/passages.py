"""What goes through the scopes of a model in one step: outputs, and gradients there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from gradtrace_numpy.arrays import Array, plain
from gradtrace_numpy.calls import Call
from gradtrace_numpy.scopes import entered

__all__ = ["Passage", "Passages"]


@dataclass
class Passage:
    """One entrance into a scope, with what its last call made as its output."""

    scope: str
    ops: list[str] = field(default_factory=list)
    """Of the calls in it, in order."""
    made: set[int] = field(default_factory=set)
    """Serial numbers of the arrays that were made in it."""
    outputs: list[Array] = field(default_factory=list)
    upstream: list[Any] = field(default_factory=list)
    downstream: dict[int, Any] = field(default_factory=dict)
    """What is passed back to each input, by its serial number: the sum over all uses."""


class Passages:
    """Hears the engine, and keeps what was in each scope until it is taken.

    Arrays never change, so to remember one is enough.
    """

    def __init__(self, wanted: Callable[[str], bool], parameters: Callable[[int], bool]) -> None:
        self._wanted = wanted
        self._is_parameter = parameters
        self._entered: dict[int, Passage] = {}
        self._calls: dict[int, list[Passage]] = {}
        self._shares: list[tuple[Passage, int, Any]] = []
        self._arrived: dict[int, Any] = {}

    def called(self, call: Call, results: list[Array]) -> None:
        """Note a call in every scope around it."""
        around = []
        for path, number in entered():
            if self._wanted(path):
                passage = self._entered.setdefault(number, Passage(path))
                passage.ops.append(call.primitive.name)
                passage.made |= {each.serial for each in results}
                passage.outputs = results
                around.append(passage)
        if around:
            self._calls[call.serial] = around

    def began(self) -> None:
        """Forget a pass whose gradients were not added to those held."""
        self._shares.clear()
        self._arrived.clear()

    def passed(self, call: Call, position: int, share: Any) -> None:
        """Note what a call passes back to an operand from outside its scope."""
        operand = call.operands[position].serial
        for passage in self._calls.get(call.serial, ()):
            if operand not in passage.made and not self._is_parameter(operand):
                self._shares.append((passage, operand, plain(share)))

    def arrived(self, array: Array, gradient: Any) -> None:
        """Note the gradient of an array."""
        self._arrived[array.serial] = plain(gradient)

    def accumulated(self) -> None:
        """Take the pass that has ended for one of the training."""
        for passage, operand, share in self._shares:
            before = passage.downstream.get(operand)
            passage.downstream[operand] = share if before is None else before + share
        for passage in self._entered.values():
            found = (self._arrived.get(each.serial) for each in passage.outputs)
            passage.upstream += [each for each in found if each is not None]
        self.began()

    def take(self) -> Iterator[Passage]:
        """Yield what went through each scope, and forget it."""
        taken, self._entered = self._entered, {}
        self._calls = {}
        self.began()
        yield from taken.values()
