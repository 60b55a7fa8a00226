"""What is measured at each module: its output, the gradient there, the gradient it passes back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor, nn
from torch._C import _current_graph_task_id

from gradtrace.recording.ledger import Layout, Page, Row
from gradtrace.recording.observer import LARGE
from gradtrace.recording.sample import Series
from gradtrace_torch.recording.afar import Streams
from gradtrace_torch.recording.hooks import Hook
from gradtrace_torch.recording.module import Module
from gradtrace_torch.recording.passes import Found, Passes
from gradtrace_torch.recording.reductions import measure
from gradtrace_torch.recording.together import is_small, measure_together

__all__ = ["Calls"]


class Calls:
    """Follows the modules of a model from call to call.

    Small tensors are only remembered and measured together, as a backward pass or the step ends.
    """

    def __init__(self, layout: Layout, passes: Passes, working: Callable[[], None]) -> None:
        self.page = Page()
        self.on = True
        self.expectant = True
        """Whether somebody waits to hear that the model works again."""
        self.large = True
        """Whether large tensors are measured in this step."""
        self.outputs: set[int] = set()
        """Slots of what is no gradient."""
        self.followed: set[nn.Module] = set()
        """The modules that are followed."""
        self.since: list[tuple[object, int]] = []
        """For each call that runs, how many autograd nodes there were before it."""
        self._layout = layout
        self._passes = passes
        self._working = working
        self._streams = Streams()
        self._later: list[tuple[Module, Tensor, int, bool | None]] = []
        """Small outputs, with the version they had, and whether they wait to be measured."""
        self._seen: tuple[Tensor, int, Row | None] | None = None
        self._came: tuple[Tensor, Row | None] | None = None
        self._forward: set[Module] = set()
        """Modules of which an output was measured outside a backward pass."""

    def follow(self, module: nn.Module, name: str) -> Iterator[Any]:
        """Put hooks on `module`, unless it has them; yield their handles."""
        if module in self.followed:
            return
        call = Module(self, module, name)
        self.followed.add(module)
        if not call.is_plain:
            yield module.register_forward_pre_hook(Hook(call.enter))
        yield module.register_forward_hook(Hook(call.leave), with_kwargs=True)

    def slots(self, name: str, series: Callable[[str], Series]) -> tuple[int, int, int]:
        """Return the slots of output, upstream and downstream gradient of a module."""
        self._layout.meet(name)
        quantities = ("output", "upstream gradient", "downstream gradient")
        output, upstream, downstream = (self._layout.slot(series(each)) for each in quantities)
        self.outputs.add(output)
        return output, upstream, downstream

    def turn(self) -> Page:
        """Return the page that was written, and begin another."""
        self.page.join(measure_together(self.waiting()))
        self._streams.join()
        page, self.page = self.page, Page()
        self._forward.clear()
        self.since.clear()
        self.rest()
        return page

    def rest(self) -> None:
        """Let go of the tensors that were measured last."""
        self._seen = self._came = None

    def begin(self) -> None:
        """Say that the model works again."""
        self.expectant = False
        self._working()

    def put(self, module: Module, output: Tensor) -> None:
        """Measure an output, unless a checkpoint computes again what was measured before."""
        if _current_graph_task_id() == -1:
            self._forward.add(module)
        elif module in self._forward:
            return
        waits = module.waits
        if waits is not False and is_small(output) and not output.is_inference():
            self._later.append((module, output, output._version, waits))
            if waits:
                return
        if output.is_floating_point() or output.is_complex():
            self._put_now(module, output)

    def _put_now(self, module: Module, output: Tensor) -> None:
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

    def waiting(self) -> list[tuple[int, Tensor]]:
        """Return the small outputs that are still to be measured, each with its slot."""
        later, self._later = self._later, []
        kept = []
        for module, output, version, waited in later:
            if output._version != version:
                module.waits = False
            elif waited:
                kept.append((module.output_slot, output))
            elif module.waits is None:
                module.waits = True
        return kept

    def arrived(self, slot: int, gradient: Tensor | None) -> None:
        """Take note of a gradient, of which the next one to arrive may be the same tensor."""
        if gradient is None or not self.on:
            return
        found = self._passes.last
        if found.task != _current_graph_task_id():
            found = self._passes.found()
        if is_small(gradient):
            found.later.append((slot, gradient))
        elif self.large or gradient.numel() <= LARGE:
            self._measure(found, slot, gradient)

    def _measure(self, found: Found, slot: int, gradient: Tensor) -> None:
        came = self._came
        if came is None or came[0] is not gradient:
            self._streams.note(gradient)
            self._came = came = (gradient, measure(gradient))
        if came[1] is not None:
            found.rows.append((slot, came[1]))
