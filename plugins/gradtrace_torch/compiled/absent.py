"""What stands in for the compiled parts where they were not compiled: it leaves all to others.

It says what each of them does, and shows type checkers their types.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from torch import Tensor
from torch._C import _current_graph_task_id

from gradtrace.recording.ledger import Row
from gradtrace.recording.observer import LARGE

__all__ = [
    "QuickCalls",
    "QuickModule",
    "QuickParameter",
    "Sheet",
    "accumulate_gradients",
    "copy_values",
    "listener",
    "measure_moves",
    "measure_values",
    "moments_of",
    "take_gradients",
    "turn",
]


def moments_of(tensor: Tensor, *, low: float = 0.0, high: float = 0.0) -> Row | None:
    """Return a number for each of `FIELDS`; None where they have to be found in another way.

    Where `low` < `high`, elements outside of that range are saturated. Elements are found of
    tensors of float32, float64 and bfloat16 without gaps, in the memory of the host.
    """
    return None


class Sheet:
    """Rows of statistics, each with the slot it belongs in.

    With `sums_only`, lowest, highest and zeros are not computed, which takes half the time.
    """

    def __init__(self, *, sums_only: bool = False) -> None: ...

    def note(self, slot: int, tensor: Tensor, low: float = 0.0, high: float = 0.0) -> bool:
        """Measure a tensor, unless it was the last one; False where that cannot be done here."""
        return False

    def turn(self) -> tuple[bytes, bytes]:
        """Return slots, a C int each, and rows, a C double for each of `FIELDS`; begin anew."""
        return b"", b""

    def rest(self) -> None:
        """Let go of the tensor that was measured last."""


class QuickCalls:
    """What all modules that are followed have in common.

    Who derives from it also has `begin()`, called as the model begins to work, and
    `put_odd(module, output)` for outputs that cannot be measured here.
    """

    outputs: Sheet
    """Where outputs are noted."""
    gradients: Sheet
    """Where gradients are noted in the backward pass that runs."""
    forward: set[Any]
    """Modules of which an output was measured outside a backward pass."""
    parameters: list[Tensor]
    """Where parameters are put that receive a gradient in the backward pass that runs."""

    def __init__(self) -> None:
        self.on = True
        self.expectant = True
        """Whether somebody waits to hear that the model works again."""
        self.large = True
        """Whether large outputs and gradients are measured in this step."""
        self.reads_ahead = False
        """Whether the gradient of a parameter is measured as it arrives; see `listener`."""
        self.task = -2
        """The backward pass that was met last."""
        self.outputs, self.gradients = Sheet(), Sheet(sums_only=True)
        self.forward, self.parameters = set(), []

    def parameter_arrived(self, parameter: Tensor) -> bool:
        """Take note of a parameter that has received a gradient; return `reads_ahead`."""
        if _current_graph_task_id() == self.task:
            self.parameters.append(parameter)
        else:
            self.parameter_odd(parameter)
        return self.reads_ahead

    def arrived(self, slot: int, gradient: Tensor | None) -> None:
        """Take note of a gradient, of which the next one to arrive may be the same tensor."""
        if gradient is None or not self.on or (not self.large and gradient.numel() > LARGE):
            return
        task = _current_graph_task_id()
        if task != self.task:
            self.enter_pass(task)
        if not self.gradients.note(slot, gradient):
            self.arrived_odd(slot, gradient)

    def parameter_odd(self, parameter: Tensor) -> None:
        """Take note of a parameter in a backward pass that was not met last."""
        raise NotImplementedError

    def enter_pass(self, task: int) -> None:
        """Say where gradients are noted in the backward pass that runs."""
        raise NotImplementedError

    def arrived_odd(self, slot: int, gradient: Tensor) -> None:
        """Measure a gradient that cannot be measured here."""
        raise NotImplementedError


class QuickModule:
    """A module that is followed, with the way that its gradient is supposed to go.

    Outputs outside of the range from `low` to `high` are saturated, if that is one.
    """

    def __init__(self, calls: QuickCalls, low: float, high: float, *, plain: bool) -> None:
        self.is_plain = plain
        """Whether it reads nothing but its arguments and parameters, and writes to none of them.

        Who derives from it has a method `began()`, called as a call ends of one that is not.
        """
        self.low, self.high = low, high
        self.output_slot = self.upstream_slot = self.downstream_slot = -1

    def take_slots(self, output: int, upstream: int, downstream: int) -> None:
        """Take the slots of output, upstream and downstream gradient."""
        self.output_slot, self.upstream_slot, self.downstream_slot = output, upstream, downstream

    def suppose(self, way: tuple[tuple[int, ...], int, tuple[int, ...], int] | None) -> None:
        """Suppose that the gradient of the next call goes a `Way`, or none that is known."""

    def follow(self, arguments: tuple[Any, ...], output: Any) -> bool:
        """Measure a call, and put hooks where its gradient goes, if that is the way it went."""
        return False


class QuickParameter:
    """One parameter; `slots` are those of its value, gradient, unclipped gradient and update."""

    def __init__(self, tensor: Tensor, slots: Sequence[int]) -> None:
        self.tensor = tensor
        self.odd = False
        """Whether it is left to others until the step ends."""
        self._accumulated: Row | None = None

    def give_up(self) -> tuple[Mapping[int, Row], bool, Row | None]:
        """Leave it to others until the step ends.

        Return what was noted in this step, by slot; whether an optimizer has taken the gradient;
        and the gradient as it has accumulated, if none has.
        """
        self.odd = True
        accumulated, self._accumulated = self._accumulated, None
        return {}, False, accumulated

    def resume(self, accumulated: Row) -> None:
        """Take the gradient as it has accumulated, which no optimizer has taken yet."""
        self._accumulated = accumulated


P = TypeVar("P", bound=QuickParameter)


def listener(
    arrived: Callable[[Tensor], object], parameter: QuickParameter | None
) -> Callable[[Tensor], None]:
    """Return a hook that says of a gradient that it has `arrived`.

    If that says so, it measures it at once for `parameter`: it is in the cache then, and seldom at
    the end of the pass.
    """

    def hear(tensor: Tensor) -> None:
        arrived(tensor)

    return hear


def accumulate_gradients(parameters: list[P], *, arrived: bool) -> list[P]:
    """Note gradients as they have accumulated: only those that are new, unless they `arrived`.

    This and the functions below return the parameters that they leave to others.
    """
    return parameters


def take_gradients(parameters: list[P]) -> list[P]:
    """Note gradients as an optimizer takes them."""
    return parameters


def copy_values(parameters: list[P], *, large: bool) -> list[P]:
    """Copy the values that an optimizer is about to change, large ones only if told."""
    return parameters


def measure_moves(parameters: list[P], *, large: bool) -> list[P]:
    """Note the values, and what was added to those that were copied."""
    return parameters


def measure_values(parameters: list[P], *, large: bool) -> list[P]:
    """Note the values that were not noted in this step."""
    return parameters


def turn(parameters: list[P], sheet: Sheet) -> None:
    """Put on `sheet` what was noted in this step, and begin another."""
    for each in parameters:
        each.odd = False
