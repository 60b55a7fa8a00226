"""What is measured at each module: its output, the gradient there, the gradient it passes back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor, nn
from torch._C import _current_graph_task_id
from torch.compiler import is_compiling

from gradtrace.recording.ledger import Layout, Page, Row
from gradtrace.recording.observer import Schedule
from gradtrace.recording.sample import Series
from gradtrace_torch.compiled import QuickCalls
from gradtrace_torch.recording.afar import Streams
from gradtrace_torch.recording.hooks import Hook
from gradtrace_torch.recording.module import Module
from gradtrace_torch.recording.passes import Passes
from gradtrace_torch.recording.reductions import measure
from gradtrace_torch.recording.uses import Edge

__all__ = ["Calls"]


class Calls(QuickCalls):
    """Follows the modules of a model from call to call."""

    def __init__(self, layout: Layout, passes: Passes, working: Callable[[], None]) -> None:
        super().__init__()
        self.page = Page()
        """What is measured in the step that runs, also by others."""
        self.output_slots: set[int] = set()
        """Slots of what is no gradient."""
        self.followed: set[nn.Module] = set()
        """The modules that are followed."""
        self.begun: list[tuple[object, int, list[Edge]]] = []
        """For each call that runs, how many autograd nodes there were before it, and what it was
        given."""
        self._layout = layout
        self._passes = passes
        self.parameters = passes.arrived
        self._working = working
        self._streams = Streams()
        self._seen: tuple[Tensor, int, Row | None] | None = None
        self._came: tuple[Tensor, Row | None] | None = None

    def follow(self, module: nn.Module, name: str) -> Iterator[Any]:
        """Put hooks on `module`, unless it has them; yield their handles."""
        if module in self.followed:
            return
        call = Module(self, module, name)
        self.followed.add(module)
        if not call.is_plain:
            yield module.register_forward_pre_hook(Hook(call.enter), with_kwargs=True)
        yield module.register_forward_hook(Hook(call.leave), with_kwargs=True)

    def schedule(self, schedule: Schedule, *, scaled: bool) -> None:
        """Measure the next step as `schedule` says; `scaled` if there is a GradScaler."""
        self.on, self.large = schedule.measured, schedule.large
        self.reads_ahead = schedule.measured and not schedule.histograms and not scaled

    def slots(self, name: str, series: Callable[[str], Series]) -> tuple[int, int, int]:
        """Return the slots of output, upstream and downstream gradient of a module."""
        self._layout.meet(name)
        quantities = ("output", "upstream gradient", "downstream gradient")
        output, upstream, downstream = (self._layout.slot(series(each)) for each in quantities)
        self.output_slots.add(output)
        return output, upstream, downstream

    def turn(self) -> Page:
        """Return the page of the step that ends, and begin another."""
        self.page.tables.append(self.outputs.turn())
        self._streams.join()
        page, self.page = self.page, Page()
        self.forward.clear()
        self.begun.clear()
        self.rest()
        return page

    def rest(self) -> None:
        """Let go of the tensors that were measured last."""
        self._seen = self._came = None
        self.outputs.rest()
        self.gradients.rest()

    def begin(self) -> None:
        """Say that the model works again."""
        self.expectant = False
        self._working()

    def put(self, module: Module, output: Tensor) -> None:
        """Measure an output, unless a checkpoint computes again what was measured before."""
        if _current_graph_task_id() == -1:
            self.forward.add(module)
        elif module in self.forward:
            return
        if not self.outputs.note(module.output_slot, output, module.low, module.high):
            self.put_odd(module, output)

    def put_odd(self, module: Module, output: Tensor) -> None:
        """Measure an output that is not as most are."""
        if not (output.is_floating_point() or output.is_complex()):
            return
        seen = self._seen
        if seen is not None and seen[0] is output and seen[1] == output._version:
            row = seen[2]
        else:
            self._streams.note(output)
            row = measure(output, zeros=True, ends=module.ends)
            again = module.ends is None and not output.is_inference()
            self._seen = (output, output._version, row) if again else None
        if row is not None:
            self.page.rows.append((module.output_slot, row))

    def parameter_odd(self, parameter: Tensor) -> None:
        """Take note of a parameter in a backward pass that is new, or goes on."""
        if not is_compiling():
            self._passes.add(parameter)
            task = _current_graph_task_id()
            if task != -1:
                self.enter_pass(task)

    def enter_pass(self, task: int) -> None:
        """Take note of gradients where those of the backward pass `task` are, which runs."""
        self.task, self.gradients = task, self._passes.found().sheet

    def arrived_odd(self, slot: int, gradient: Tensor) -> None:
        """Measure a gradient that is not as most are."""
        came = self._came
        if came is None or came[0] is not gradient:
            self._streams.note(gradient)
            self._came = came = (gradient, measure(gradient))
        if came[1] is not None:
            self._passes.found().rows.append((slot, came[1]))
