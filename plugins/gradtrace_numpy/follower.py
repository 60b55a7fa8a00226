"""A model of the NumPy engine as it is followed through its training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from gradtrace.errors import OptionError
from gradtrace.recording.ledger import Layout, Page, Reading, Row, joined
from gradtrace.recording.observer import ENDS, Moments, Schedule
from gradtrace.recording.sample import FIELDS, Series
from gradtrace_numpy.arrays import Array, plain
from gradtrace_numpy.calls import Call
from gradtrace_numpy.listening import follow, leave, listener
from gradtrace_numpy.measuring import histogram, row_of
from gradtrace_numpy.models import arrays_in
from gradtrace_numpy.optimizers import Optimizer
from gradtrace_numpy.passages import Passage, Passages
from gradtrace_numpy.recorder import Recorder

__all__ = ["NumpyFollower"]


class _Parameter:
    """A parameter, with its elements as the step began: later ones take their place."""

    def __init__(self, name: str, array: Array, layout: Layout) -> None:
        self.array = array
        self.before = array.data
        self.arrived: Row | None = None
        """The gradient as it was accumulated, until an optimizer takes it."""
        scope = name.rpartition(".")[0]
        quantities = ("value", "gradient", "unclipped gradient", "update")
        self.slots = {
            each: layout.slot(Series(name, each, "parameter", None, scope)) for each in quantities
        }


class NumpyFollower:
    """Follows one model in the thread that starts it."""

    rank = 0
    traceable = True

    def __init__(
        self,
        model: Any,
        optimizers: tuple[Any, ...],
        wanted: Callable[[str], bool],
        moments: Moments,
    ) -> None:
        named: dict[int, tuple[str, Array]] = {}
        for name, array in arrays_in(model):
            if array.differentiable or array.kind == "parameter":
                named.setdefault(array.serial, (name, array))
        self._require_optimizers(optimizers, set(named))
        self._optimizers = list(optimizers)
        self._finds = not optimizers
        self._moments = moments
        self._layout = Layout()
        self._parameters = {
            serial: _Parameter(name, array, self._layout)
            for serial, (name, array) in named.items()
            if wanted(name)
        }
        self._passages = Passages(wanted, named.__contains__)
        self._ops: dict[str, str | None] = {}
        self._schedule = Schedule()
        self._reached: set[int] = set()
        """What the backward pass that ran last has brought a gradient."""
        self._expectant = True
        """Whether the recorder waits to hear that the model works again."""
        self._page = Page()
        self._pages: list[Page] = []
        sizes = [array.size for _, array in named.values()]
        trained = [array.size for _, array in named.values() if array.differentiable]
        self.facts: Mapping[str, Any] = {
            "model": "\n".join(f"{name}: {array.shape}" for name, array in named.values()),
            "model_class": type(model).__qualname__,
            "parameters": sum(sizes),
            "trainable": sum(trained),
            "device": "cpu",
            "world_size": 1,
        }

    @staticmethod
    def _require_optimizers(optimizers: tuple[Any, ...], own: set[int]) -> None:
        for each in optimizers:
            if not isinstance(each, Optimizer):
                raise OptionError(
                    f"optimizer={each!r} is no optimizer of gradtrace_numpy; pass one, a list of "
                    "several, or none: one that steps parameters of the model is found by itself"
                )
            if not own & {array.serial for array in each.parameters}:
                raise OptionError(
                    f"optimizer={type(each).__name__} steps none of the {len(own)} parameters of "
                    "the model; make it of those, or leave optimizer= out"
                )

    # -- what the engine tells -------------------------------------------------------------

    def called(self, call: Call, results: list[Array]) -> None:
        """Note a call of the forward pass."""
        self._work()
        if self._schedule.measured:
            self._passages.called(call, results)

    def began(self, output: Array, seed: Any) -> None:
        """Note that a backward pass begins."""
        self._reached.clear()
        self._passages.began()

    def passed(self, call: Call, position: int, share: Any) -> None:
        """Note what is passed back."""
        self._passages.passed(call, position, share)

    def arrived(self, array: Array, gradient: Any) -> None:
        """Note a gradient."""
        self._reached.add(array.serial)
        self._passages.arrived(array, gradient)

    def accumulated(self) -> None:
        """Note the gradients of the parameters that were reached: nothing has clipped them yet."""
        self._passages.accumulated()
        self._moments.working()
        if self._schedule.measured:
            for serial in self._parameters.keys() & self._reached:
                self._arrived(self._parameters[serial])

    def _arrived(self, parameter: _Parameter) -> None:
        slots, gradient = parameter.slots, plain(parameter.array.grad)
        row = parameter.arrived = row_of(gradient)
        self._page.arrived |= {slots["unclipped gradient"]: row, slots["gradient"]: row}
        if self._schedule.histograms:
            self._page.counted[slots["gradient"]] = histogram(gradient)

    def stepping(self, optimizer: Optimizer) -> None:
        """Note the gradients that an optimizer takes, with what it is about to change."""
        stepped = self._stepped_by(optimizer)
        if not stepped:
            return
        self._work()
        if self._finds and optimizer not in self._optimizers:
            self._optimizers.append(optimizer)
        several = len(self._optimizers) > 1
        for number, each in enumerate(self._optimizers):
            self._page.scalars[f"lr/{number}" if several else "lr"] = each.lr
        for parameter in stepped:
            parameter.before = parameter.array.data
            if parameter.array.grad is not None and self._schedule.measured:
                gradient = plain(parameter.array.grad)
                row = row_of(gradient)
                self._note(parameter.slots["gradient"], row, gradient)
                self._note(parameter.slots["unclipped gradient"], parameter.arrived or row)
                parameter.arrived = None

    def stepped(self, optimizer: Optimizer) -> None:
        """Note by how much it has moved them."""
        stepped = self._stepped_by(optimizer)
        if self._schedule.measured:
            for each in stepped:
                self._moved(each)
        if stepped:
            self._expectant = True
            self._moments.optimized(optimizer)

    def _work(self) -> None:
        if self._expectant:
            self._expectant = False
            self._moments.working()

    def _stepped_by(self, optimizer: Optimizer) -> list[_Parameter]:
        if not self._finds and not any(optimizer is each for each in self._optimizers):
            return []
        found = (self._parameters.get(array.serial) for array in optimizer.parameters)
        return [each for each in found if each is not None]

    def _note(self, slot: int, row: Row, elements: npt.NDArray[Any] | None = None) -> None:
        self._page.latest[slot] = row
        if elements is not None and self._schedule.histograms:
            self._page.histograms[slot] = histogram(elements)

    def _moved(self, parameter: _Parameter) -> None:
        value = parameter.array.data
        update = value - parameter.before
        parameter.before = value
        self._note(parameter.slots["update"], row_of(update), update)
        self._note(parameter.slots["value"], row_of(value), value)

    # -- what the recorder asks ------------------------------------------------------------

    def start(self) -> None:
        """Begin to hear the engine."""
        follow(self)

    def begin(self, schedule: Schedule) -> None:
        """Measure the next step as `schedule` says."""
        self._schedule = schedule

    def mark(self) -> None:
        """Remember that a step may have ended here."""
        self._pages.append(self._turn())

    def take(self, scalars: Mapping[str, Any], *, whole: bool) -> list[Reading]:
        """Return what was measured; see `Follower`."""
        pages = [*self._pages, self._turn()]
        self._pages = []
        if whole:
            pages = [joined(pages)]
        pages[-1].scalars |= {name: _number(name, value) for name, value in scalars.items()}
        return [_Reading(page, self._layout) for page in pages]

    def _turn(self) -> Page:
        """Measure what no optimizer has touched, and what went through the scopes."""
        if self._schedule.measured:
            for each in self._parameters.values():
                self._settle(each)
        for passage in self._passages.take():
            self._put(passage)
        for each in self._parameters.values():
            each.before = each.array.data
        page, self._page = self._page, Page()
        return page

    def _settle(self, parameter: _Parameter) -> None:
        value = parameter.array.data
        if parameter.array.grad is None:
            parameter.arrived = None
        if value is not parameter.before:  # the loop has moved it, without an optimizer
            self._moved(parameter)
        elif parameter.slots["value"] not in self._page.latest:
            self._note(parameter.slots["value"], row_of(value), value)

    def _put(self, passage: Passage) -> None:
        scope = passage.scope
        self._layout.meet(scope)
        op = self._ops.setdefault(scope, passage.ops[0] if len(passage.ops) == 1 else None)
        parts = {
            "output": [each.data for each in passage.outputs],
            "upstream gradient": passage.upstream,
            "downstream gradient": [*passage.downstream.values()],
        }
        for quantity, found in parts.items():
            slot = self._layout.slot(Series(scope, quantity, "module", op, scope, "parts"))
            ends = ENDS.get(op or "") if quantity == "output" else None
            self._page.rows += [(slot, row_of(each, ends)) for each in found]

    def quiet(self, *, tracing: bool) -> bool:
        """Tell whether a trace can begin here, or end if it is `tracing`."""
        heard = listener(followed=False)
        return isinstance(heard, Recorder) if tracing else heard is None

    def gather(self, data: bytes) -> list[bytes]:
        """Return `data`: no other process trains with this one."""
        return [data]

    def stop(self) -> None:
        """Hear no more."""
        leave(self)


class _Reading:
    """A page as it is read; its numbers are all there."""

    def __init__(self, page: Page, layout: Layout) -> None:
        rows = page.all_rows
        self.series = layout.series
        self._plan = layout.plan(np.array([slot for slot, _ in rows], np.intc), self.series)
        self._rows = np.array([row for _, row in rows], dtype=np.float64).reshape(-1, len(FIELDS))
        self._scalars = {name: float(value) for name, value in page.scalars.items()}
        self._histograms = {
            layout.position(slot, self.series): counts
            for slot, counts in page.all_histograms.items()
        }

    def ready(self) -> bool:
        """Tell that they are."""
        return True

    def numbers(
        self,
    ) -> tuple[dict[str, float], npt.NDArray[np.float64], Mapping[int, npt.NDArray[np.uint32]]]:
        """Return scalars, statistics and histograms; see `Reading`."""
        return self._scalars, self._plan.statistics(self._rows), self._histograms


def _number(name: str, value: Any) -> Any:
    """Return a scalar of the user's as a number."""
    elements = plain(value)
    if isinstance(elements, np.ndarray) and elements.size == 1:
        return elements.item()
    if not hasattr(elements, "__float__") or isinstance(elements, np.ndarray):
        raise OptionError(
            f"{name}={value!r} is no number; recorder.step() takes numbers: pass its mean, or one "
            "of its elements, and text in gradtrace.record(config=...)"
        )
    return elements
