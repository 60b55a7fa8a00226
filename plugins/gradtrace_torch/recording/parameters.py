"""What is measured of the parameters of a model in one step."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

from torch import Tensor, nn
from torch.utils.weak import WeakIdKeyDictionary

from gradtrace.recording.ledger import Layout, Page
from gradtrace.recording.observer import Schedule
from gradtrace_torch.recording.parameter import Parameter
from gradtrace_torch.recording.ranks import counted
from gradtrace_torch.recording.reductions import measure

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
        for each in self.all:
            surely = id(each.tensor) in came
            if surely or not alone or id(each.tensor) not in self._handles:
                each.gradient_arrived(self.page, unscale, self.schedule, surely=surely)

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
        for each in stepped:
            if gradients:
                each.gradient_taken(self.page, unscale, self.schedule)
            each.before(self.schedule)

    def after_step(self, stepped: list[Parameter], *, gradients: bool) -> None:
        """Measure by how much each parameter moved, and its value.

        `gradients` that were computed inside the step are still there to be measured.
        """
        for each in stepped:
            if gradients:
                each.gradient_taken(self.page, None, self.schedule)
            each.after(self.page, self.schedule)

    def turn(self) -> Page:
        """Measure what no optimizer has touched, and return the page that was written."""
        if self.schedule.measured:
            for each in self.all:
                each.settle(self.page, self.schedule)
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
