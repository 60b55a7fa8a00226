"""What is measured of the parameters of a model in one step."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.weak import WeakIdKeyDictionary

from gradtrace.recording.ledger import Layout, Page
from gradtrace.recording.observer import Schedule
from gradtrace_torch.recording.parameter import Parameter
from gradtrace_torch.recording.ranks import counted
from gradtrace_torch.recording.reductions import measure
from gradtrace_torch.recording.together import measure_all, measure_moves

__all__ = ["Parameters"]


class Parameters:
    """Follows the parameters of a model from step to step.

    `arrived` is called with each one that has received a gradient.
    """

    def __init__(
        self,
        named: Iterable[tuple[str, nn.Parameter]],
        layout: Layout,
        arrived: Callable[[Tensor], None],
    ) -> None:
        self.page = Page()
        self.schedule = Schedule()
        self.all: list[Parameter] = []
        self._layout = layout
        self._arrived = arrived
        self._tensors: dict[int, nn.Parameter] = {}
        self._by_tensor: dict[int, Parameter] = {}
        self._handles: dict[int, Any] = {}
        self._foreign = WeakIdKeyDictionary()
        """Tensors of optimizers that were no parameters of the model when it was asked."""
        self.follow(named)

    def follow(self, named: Iterable[tuple[str, nn.Parameter]]) -> None:
        """Follow these parameters from now on, and no others."""
        tensors = dict(named)
        self.all = [
            self._by_tensor.get(id(each)) or Parameter(name, each, self._layout)
            for name, each in tensors.items()
            if counted(each)
        ]
        self._by_tensor = {id(each.tensor): each for each in self.all}
        self._tensors = {id(each): each for each in tensors.values()}
        for gone in self._handles.keys() - self._tensors.keys():
            self._handles.pop(gone).remove()
        self.listen()

    def listen(self) -> None:
        """Put a hook on each parameter that can have a gradient, also if it is thawed later."""
        for key, tensor in self._tensors.items():
            if tensor.requires_grad and key not in self._handles and tensor.is_leaf:
                hook = tensor.register_post_accumulate_grad_hook(self._arrived)
                self._handles[key] = hook

    def of(self, optimizer: Any) -> list[Parameter]:
        """Return those that `optimizer` steps."""
        found = (self._by_tensor.get(id(tensor)) for tensor in _tensors_of(optimizer))
        return [each for each in found if each is not None]

    def are_all_of(self, optimizer: Any) -> bool:
        """Tell whether all that `optimizer` steps is known; what is not is asked for once."""
        unknown = [
            tensor
            for tensor in _tensors_of(optimizer)
            if id(tensor) not in self._tensors and tensor not in self._foreign
        ]
        if unknown:
            self._foreign.update(dict.fromkeys(unknown))
        return not unknown

    def measure_gradients(
        self, arrived: Collection[Tensor], unscale: Any, *, alone: bool = True
    ) -> None:
        """Measure the gradients that a backward pass has left, times `unscale`.

        Those that have `arrived` at their parameters. What no hook tells of, on a parameter that
        was thawed in this step or had its gradient from another process, shows where it changed.
        """
        came = {id(tensor) for tensor in arrived}
        asked = [
            each
            for each in self.all
            if id(each.tensor) in came or not alone or id(each.tensor) not in self._handles
        ]
        new = self._read_gradients(asked, unscale)
        for each in asked:
            if each in new or id(each.tensor) in came:
                each.gradient_arrived(self.page, unscale, self.schedule, new=each in new)

    def _read_gradients(self, asked: list[Parameter], unscale: Any) -> set[Parameter]:
        """Measure gradients, and return those of which they are not what was measured before."""
        unread = [
            (each, gradient) for each in asked if (gradient := each.unread_gradient()) is not None
        ]
        rows = measure_all([gradient for _, gradient in unread])
        return {
            each
            for (each, gradient), row in zip(unread, rows, strict=True)
            if each.learn_gradient(gradient, row, unscale)
        }

    def rescale(self, factor: Any) -> None:
        """Multiply by `factor` the gradients that were measured in this step."""
        for each in self.all:
            each.rescale(self.page, factor)

    def measure_local(self, tensor: Tensor, layout: Layout) -> None:
        """Measure the gradient of this process alone, before those of all are averaged."""
        each = self._by_tensor.get(id(tensor))
        if each is not None and tensor.grad is not None:
            row = measure(tensor.grad, extremes=True)
            if row is not None:
                self.page.latest[layout.slot(each.series("local gradient"))] = row

    def before_step(self, stepped: list[Parameter], unscale: Any, *, gradients: bool) -> None:
        """Measure the gradients that an optimizer takes, then copy what it is about to change."""
        if gradients:
            self._take_gradients(stepped, unscale)
        copies = [pair for each in stepped if (pair := each.before(self.schedule)) is not None]
        if copies:
            rooms, values = zip(*copies, strict=True)
            torch._foreach_copy_(rooms, values)

    def _take_gradients(self, stepped: list[Parameter], unscale: Any) -> None:
        new = self._read_gradients(stepped, unscale)
        for each in stepped:
            each.gradient_taken(self.page, unscale, self.schedule, new=each in new)

    def after_step(self, stepped: list[Parameter], *, gradients: bool) -> None:
        """Measure by how much each parameter moved, and its value.

        `gradients` that were computed inside the step are still there to be measured.
        """
        if gradients:
            self._take_gradients(stepped, None)
        moved = {each: pair for each in stepped if (pair := each.moved()) is not None}
        rows = measure_moves(list(moved.values()))
        for (each, pair), (value, move) in zip(moved.items(), rows, strict=True):
            each.learn_value(pair[0], value)
            each.note_value(self.page, pair[0], self.schedule)
            each.note_move(self.page, move, self.schedule, pair)
        if len(moved) < len(stepped):
            self._measure_values([each for each in stepped if each not in moved])

    def _measure_values(self, some: list[Parameter]) -> None:
        values = [(each, value) for each in some if (value := each.value()) is not None]
        unread = [pair for pair in values if not pair[0].knows(pair[1], self.schedule)]
        rows = measure_all([value for _, value in unread])
        for (each, value), row in zip(unread, rows, strict=True):
            each.learn_value(value, row)
        for each, value in values:
            each.note_value(self.page, value, self.schedule)

    def turn(self) -> Page:
        """Measure what no optimizer has touched, and return the page that was written."""
        if self.schedule.measured:
            latest = self.page.latest
            self._measure_values([e for e in self.all if e.slots["value"] not in latest])
            for each in self.all:
                each.forget_gradient()
        self.listen()
        page, self.page = self.page, Page()
        return page

    def stop(self) -> None:
        """Remove every hook."""
        for handle in self._handles.values():
            handle.remove()
        self._handles.clear()


def _tensors_of(optimizer: Any) -> Iterator[Tensor]:
    return (tensor for group in optimizer.param_groups for tensor in group["params"])
