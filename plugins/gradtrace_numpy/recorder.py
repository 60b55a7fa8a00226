"""The run of a traced block, from what the engine tells to a tape."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import FrameType
from typing import Any

import numpy as np

from gradtrace.derivative import LocalDerivative
from gradtrace.sources import Place, decode, name_in_frames, place, user_frame
from gradtrace.summary import SMALL, Summary
from gradtrace.tape import Call as TapeCall
from gradtrace.tape import Leaf, Options, Replay, Tape, Use, Value
from gradtrace_numpy.arrays import Array, NDArray, plain
from gradtrace_numpy.calls import Call
from gradtrace_numpy.derivatives import Differentiator
from gradtrace_numpy.listening import listen
from gradtrace_numpy.models import arrays_in
from gradtrace_numpy.scopes import invocations, scope_name

__all__ = ["record"]

_KEPT = {"summary": 0.0, "small": SMALL, "all": math.inf}
"""Elements up to which an array is kept whole, for each `keep`."""


@contextmanager
def record(tape: Tape, options: Options, model: Any = None) -> Iterator[None]:
    """Record what the engine does in the block, and fill `tape` as it ends."""
    recorder = Recorder(options, model, user_frame(3))
    try:
        with listen(recorder):
            yield
    finally:
        recorder.end()
        tape.gradients = recorder.gradients
        tape.parameters = recorder.parameters
        if recorder.steps:
            tape.defer(recorder.write)


class Recorder:
    """Hears what the engine does, keeps it in order, and measures it once it is read.

    Arrays never change, so to remember one is enough: nothing is measured inside the step.
    """

    def __init__(self, options: Options, model: Any, frame: FrameType | None) -> None:
        self.steps: list[Leaf | TapeCall] = []
        self.gradients = False
        self._differentiator = Differentiator(options.derivatives, options.limit)
        self._kept = _KEPT[options.keep]
        self._frame = frame
        self._names: dict[int, list[str]] = {}
        self.parameters: dict[str, bool] = {}
        """The arrays of the model that ask for a gradient."""
        for name, array in arrays_in(model):
            self._names.setdefault(array.serial, []).append(name)
            if name and array.differentiable:
                self.parameters[name] = True
        self._arrays: dict[int, tuple[NDArray, Value]] = {}
        """The value of each array, by its serial number, with the elements that it had."""
        self._borrowed: dict[int, tuple[NDArray, NDArray, Value]] = {}
        """The value of each plain ndarray, with the elements that it had."""
        self._uses: dict[int, dict[int, Use]] = {}
        self._places: list[tuple[Leaf | TapeCall, Place | None]] = []
        self._elements: list[tuple[Value | Use, str, Any]] = []
        self._seeds: dict[int, tuple[Value, Any]] = {}
        self._upstream: dict[int, tuple[Value, Any]] = {}
        self._downstream: dict[int, tuple[Use, Any]] = {}

    # -- the forward pass ------------------------------------------------------------------

    def called(self, call: Call, results: list[Array]) -> None:
        """Add a call to the steps."""
        uses = {
            position: self._use(call, position, operand)
            for position, operand in enumerate(call.operands)
            if isinstance(operand, Array | np.ndarray)
            and isinstance(call.inputs[position], np.ndarray)
        }
        values = [self._value(result) for result in results]
        step = TapeCall(
            call.primitive.name, values, list(uses.values()), scope_name(), invocations()
        )
        if self._kept == math.inf:
            step.replay = _replay(call, list(uses))
        self._uses[call.serial] = uses
        self._add(step)

    def _use(self, call: Call, position: int, operand: Array | NDArray) -> Use:
        name = call.primitive.operand(position)
        if not isinstance(operand, Array):
            return Use(name, self._of_ndarray(operand, call.inputs[position]))
        use = Use(name, self._of(operand))
        if operand.differentiable and any(data.dtype.kind == "f" for data in call.outputs):
            use.derivative = self._differentiator.differentiate(call, position)
        return use

    def _of(self, array: Array) -> Value:
        """Return the value that `array` holds now: a new leaf where it was not seen before."""
        held, value = self._arrays.get(array.serial, (None, None))
        if value is not None and held is array.data:
            return value
        kind, names = array.kind, tuple(self._names.get(array.serial, ()))
        if array.serial in self._names and kind == "input":
            kind = "parameter" if array.differentiable else "buffer"
        if not any(names):
            name = array.name or name_in_frames(array, self._frame)
            names = (name,) if name else ()
        leaf = Leaf(kind, names, self._value(array))
        self._add(leaf)
        return leaf.value

    def _of_ndarray(self, operand: NDArray, elements: NDArray) -> Value:
        held = self._borrowed.get(id(operand))
        if held is not None and np.array_equal(held[1], elements):
            return held[2]
        name = name_in_frames(operand, self._frame)
        value = Value()
        self._elements.append((value, "summary", elements))
        self._borrowed[id(operand)] = (operand, elements, value)
        self._add(Leaf("input" if name else "constant", (name,) if name else (), value))
        return value

    def _value(self, array: Array) -> Value:
        value = Value(differentiable=array.differentiable)
        self._elements.append((value, "summary", array.data))
        self._arrays[array.serial] = (array.data, value)
        return value

    def _add(self, step: Leaf | TapeCall) -> None:
        self._places.append((step, place(3)))
        self.steps.append(step)

    # -- the backward pass -----------------------------------------------------------------

    def began(self, output: Array, seed: Any) -> None:
        """Add to the seed of an output."""
        self.gradients = True
        value = self._of(output)
        _add_up(self._seeds, id(value), value, seed)

    def passed(self, call: Call, position: int, share: Any) -> None:
        """Add to what a use passes back."""
        use = self._uses.get(call.serial, {}).get(position)
        if use is not None:
            _add_up(self._downstream, id(use), use, share)

    def arrived(self, array: Array, gradient: Any) -> None:
        """Add to the upstream gradient of a value."""
        if array.serial in self._arrays:
            value = self._arrays[array.serial][1]
            _add_up(self._upstream, id(value), value, gradient)

    # -- the tape ----------------------------------------------------------------------------

    def end(self) -> None:
        """Let go of what belongs to the user."""
        self._frame = None
        self._borrowed.clear()
        self._arrays.clear()

    def write(self) -> list[Leaf | TapeCall]:
        """Measure what was remembered, and return the steps of the tape."""
        for held, where in (
            (self._seeds, "seed"),
            (self._upstream, "upstream"),
            (self._downstream, "downstream"),
        ):
            self._elements.extend((owner, where, elements) for owner, elements in held.values())
        known: dict[int, Summary] = {}
        for owner, where, elements in self._elements:
            if id(elements) not in known:
                known[id(elements)] = Summary.of(elements, keep=elements.size <= self._kept)
            setattr(owner, where, known[id(elements)])
        for step, where_made in self._places:
            step.source = decode(where_made)
        for step in self.steps:
            if isinstance(step, TapeCall):
                _set_gains(step)
        self._elements.clear()
        return self.steps


def _replay(call: Call, positions: list[int]) -> Replay:
    """Return the function of the call, from its operands at `positions` to its results."""
    forward, inputs, arguments = call.primitive.forward, call.inputs, call.arguments

    def run(operands: Sequence[NDArray]) -> list[NDArray]:
        given = dict(zip(positions, operands, strict=True))
        made = forward(*[given.get(i, each) for i, each in enumerate(inputs)], **arguments)
        return [np.asarray(part) for part in (made if isinstance(made, tuple) else (made,))]

    return run


def _add_up(held: dict[int, tuple[Any, Any]], key: int, owner: Any, gradient: Any) -> None:
    """Add a gradient to those of earlier passes."""
    more = plain(gradient)
    held[key] = (owner, held[key][1] + more if key in held else more)


def _set_gains(call: TapeCall) -> None:
    """Set ‖downstream‖ / ‖upstream‖ of every use, the results taken together."""
    norms = [value.upstream.norm for value in call.results if value.upstream is not None]
    upstream = math.hypot(*(norm for norm in norms if norm is not None))
    for use in call.uses:
        derivative: LocalDerivative | None = use.derivative
        share = use.downstream
        if derivative is not None and share is not None and share.norm is not None and upstream:
            use.derivative = replace(derivative, gain=share.norm / upstream)
