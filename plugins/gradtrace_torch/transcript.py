"""From the run as it was lived to the framework-free tape."""

from __future__ import annotations

import math
from dataclasses import replace

from gradtrace.derivative import LocalDerivative
from gradtrace.summary import Summary
from gradtrace.tape import Call, Leaf, Use, Value
from gradtrace_torch.gradients import Gradients
from gradtrace_torch.live import Gradient, LiveCall, LiveUse, LiveValue
from gradtrace_torch.notes import CHANGED, LOST, NESTED, PARTIAL, UNEVEN
from gradtrace_torch.ops import operand_names
from gradtrace_torch.sources import decode
from gradtrace_torch.statistics import Meter

__all__ = ["Transcription"]


class Transcription:
    """The steps of a finished run, to be had once as those of a tape.

    Values and their uses know each other. That is undone when the last of them is no longer
    needed, read or not, so that a run leaves no garbage for the collector, whose passes over
    all objects of a process would cost more than the trace.
    """

    def __init__(
        self, steps: list[LiveValue | LiveCall], meter: Meter, gradients: Gradients
    ) -> None:
        self._steps = steps
        self._meter = meter
        self._gradients = gradients

    def __call__(self) -> list[Leaf | Call]:
        self._gradients.read_notes()
        self._meter.resolve()
        scribe = _Scribe(self._meter, self._gradients)
        return [
            scribe.leaf(step) if isinstance(step, LiveValue) else scribe.call(step)
            for step in self._steps
        ]

    def __del__(self) -> None:
        for step in self._steps:
            for value in (step,) if isinstance(step, LiveValue) else step.results:
                value.uses.clear()


class _Scribe:
    """Turns live records into those of a tape, each value once."""

    def __init__(self, meter: Meter, gradients: Gradients) -> None:
        self._meter = meter
        self._gradients = gradients
        self._values: dict[LiveValue, Value] = {}

    def leaf(self, live: LiveValue) -> Leaf:
        return Leaf(live.kind, live.names, self.value(live), live.op, decode(live.place))

    def call(self, live: LiveCall) -> Call:
        if _is_uneven(live):
            for value in live.results:
                value.note = value.note or UNEVEN
        results = [self.value(value) for value in live.results]
        upstream = _joint_norm(results)
        paths = [path for use in live.uses for path in (use.path, *use.also)]
        names = iter(operand_names(live.function, paths))
        uses = [
            self.use(live, use, "+".join([next(names) for _ in range(1 + len(use.also))]), upstream)
            for use in live.uses
        ]
        source = decode(live.place)
        replay = None if live.memory is None else live.memory.replay(live)
        return Call(live.op, results, uses, live.scope, live.invocations, source, replay)

    def value(self, live: LiveValue) -> Value:
        if live not in self._values:
            self._values[live] = Value(
                summary=self._meter.summary(live),
                upstream=self.gradient(live.gradient),
                seed=self.gradient(live.seed),
                differentiable=live.differentiable,
                note=self.note(live),
            )
        return self._values[live]

    def use(self, call: LiveCall, live: LiveUse, name: str, upstream: float | None) -> Use:
        value, downstream = self.value(live.value), self.gradient(live.gradient)
        if not live.slot_count:
            return Use(name, value, None, downstream)
        gain = _gain(downstream, upstream)
        if live.derivative is not None:
            return Use(name, value, replace(live.derivative, gain=gain), downstream)
        shapes = _result_shape(call), tuple(live.value.shape)
        return Use(name, value, LocalDerivative("operator", *shapes, gain=gain), downstream)

    def gradient(self, live: Gradient | None) -> Summary | None:
        if live is None or live.lost or not self._gradients.counts(live):
            return None
        return self._meter.summary(live)

    def note(self, live: LiveValue) -> str | None:
        if live.note is not None:
            return live.note
        seen = [live.gradient, *(use.gradient for use in live.uses)]
        known = [gradient for gradient in seen if gradient is not None]
        if any(gradient.lost for gradient in known):
            return LOST
        if any(self._gradients.is_partial(gradient) for gradient in known):
            return PARTIAL
        if live.is_leaf and live.gradient is not None and not any(seen[1:]) and not live.seed:
            return NESTED
        changeable = live.hooked and not (len(seen) == 2 and seen[0] is seen[1])
        return CHANGED if live.watched or changeable else None


def _is_uneven(call: LiveCall) -> bool:
    """Tell whether the last pass to reach a call went on to some of its operands only."""
    last = max((v.gradient.serial for v in call.results if v.gradient), default=0)
    shares = [use.gradient for use in call.uses if use.gradient is not None]
    return any(share.serial < last and share.adds for share in shares)


def _joint_norm(results: list[Value]) -> float | None:
    """Return the norm of the upstream gradients of all results together."""
    norms = [value.upstream.norm for value in results if value.upstream is not None]
    known = [norm for norm in norms if norm is not None]
    return math.hypot(*known) if known else None


def _gain(downstream: Summary | None, upstream: float | None) -> float | None:
    if downstream is None or downstream.norm is None or not upstream:
        return None
    return downstream.norm / upstream


def _result_shape(call: LiveCall) -> tuple[int, ...]:
    shapes = [tuple(value.shape) for value in call.results if value.differentiable]
    return shapes[0] if len(shapes) == 1 else (sum(math.prod(shape) for shape in shapes),)
