"""What is measured of the parameters of a model in one step."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import is_
from typing import Any

import torch
from torch import Tensor, nn
from torch._C import DisableTorchFunction
from torch.utils.weak import WeakIdKeyDictionary

from gradtrace.recording.ledger import Layout, Page
from gradtrace.recording.observer import Schedule
from gradtrace_torch.compiled import (
    Sheet,
    accumulate_gradients,
    copy_values,
    listener,
    measure_moves,
    measure_values,
    take_gradients,
    turn,
)
from gradtrace_torch.recording.parameter import Parameter
from gradtrace_torch.recording.ranks import counted
from gradtrace_torch.recording.reductions import measure

__all__ = ["Parameters"]


class Parameters:
    """Follows the parameters of a model from step to step, and writes on the `page` of each.

    `arrived` is called with each one that has received a gradient, and tells whether to measure it
    at once, rather than once the pass has ended.
    """

    def __init__(
        self,
        named: Iterable[tuple[str, nn.Parameter]],
        layout: Layout,
        page: Page,
        arrived: Callable[[Tensor], object],
    ) -> None:
        self.page = page
        self.schedule = Schedule()
        self.all: list[Parameter] = []
        self._layout = layout
        self._arrived = arrived
        self._tensors: dict[int, nn.Parameter] = {}
        self._by_tensor: dict[int, Parameter] = {}
        self._handles: dict[int, Any] = {}
        self._unheard: dict[int, nn.Parameter] = {}
        """Those that have no hook, for they can have no gradient."""
        self._sheet = Sheet()
        self._stepped: dict[int, tuple[list[Tensor], list[Parameter]]] = {}
        """What each optimizer stepped last: its tensors, and those of them that are followed."""
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
        self._unheard = {k: t for k, t in self._tensors.items() if k not in self._handles}
        self._stepped.clear()
        self.listen()

    def listen(self) -> None:
        """Put a hook on each parameter that can have a gradient, also if it is thawed later."""
        for key, tensor in list(self._unheard.items()):
            if tensor.requires_grad and tensor.is_leaf:
                hook = listener(self._arrived, self._by_tensor.get(key))
                with DisableTorchFunction():  # which a lazy parameter refuses to most methods
                    self._handles[key] = tensor.register_post_accumulate_grad_hook(hook)
                del self._unheard[key]

    def stepped_by(self, optimizer: Any) -> list[Parameter] | None:
        """Return those that `optimizer` steps; None where it steps what is not known.

        What is not known is asked for once.
        """
        tensors = [tensor for group in optimizer.param_groups for tensor in group["params"]]
        before, found = self._stepped.get(id(optimizer), ([], []))
        if len(before) == len(tensors) and all(map(is_, before, tensors)):
            return found
        unknown = [t for t in tensors if id(t) not in self._tensors and t not in self._foreign]
        if unknown:
            self._foreign.update(dict.fromkeys(unknown))
            return None
        found = [self._by_tensor[id(t)] for t in tensors if id(t) in self._by_tensor]
        self._stepped[id(optimizer)] = tensors, found
        return found

    def measure_gradients(
        self, arrived: Iterable[Tensor], unscale: Any, *, alone: bool = True
    ) -> None:
        """Measure the gradients that a backward pass has left, times `unscale`.

        Those of other parameters than those of which they `arrived` are asked for too where
        somebody else than the pass may write them: other processes, unless this is `alone`.
        """
        by_tensor = self._by_tensor
        came = [by_tensor[key] for key in dict.fromkeys(map(id, arrived)) if key in by_tensor]
        others = [by_tensor[key] for key in self._unheard if key in by_tensor]
        if not alone:
            met = set(came)
            others = [each for each in self.all if each not in met]
        quick = self._is_quick(unscale)
        for some, new_only in ((came, False), (others, True)):
            left = accumulate_gradients(some, arrived=not new_only) if quick else some
            if left:
                self._accumulate(left, unscale, new_only=new_only)

    def _is_quick(self, unscale: Any = None) -> bool:
        """Tell whether parameters may be measured quickly: neither counted nor unscaled."""
        return unscale is None and not self.schedule.histograms

    @torch.no_grad()
    def _accumulate(self, some: list[Parameter], unscale: Any, *, new_only: bool) -> None:
        new = self._read_gradients(some, unscale)
        for each in some:
            if each in new or not new_only:
                each.gradient_arrived(self.page, unscale, self.schedule, new=each in new)

    def _read_gradients(self, asked: list[Parameter], unscale: Any) -> set[Parameter]:
        """Measure gradients, and return those of which they are not what was measured before."""
        new: set[Parameter] = set()
        for each in asked:
            each.surrender(self.page)
            gradient = each.unread_gradient()
            if gradient is not None:
                row = measure(gradient, extremes=True)
                if each.learn_gradient(gradient, row, unscale):
                    new.add(each)
        return new

    def rescale(self, factor: Any) -> None:
        """Multiply by `factor` the gradients that were measured in this step."""
        for each in self.all:
            each.surrender(self.page)
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
        large = self.schedule.large
        left = copy_values(stepped, large=large) if self._is_quick() else stepped
        if left:
            self._copy(left)

    @torch.no_grad()
    def _copy(self, some: list[Parameter]) -> None:
        copies = []
        for each in some:
            each.surrender(self.page)
            pair = each.before(self.schedule)
            if pair is not None:
                copies.append(pair)
        if copies:
            rooms, values = zip(*copies, strict=True)
            torch._foreach_copy_(rooms, values)

    def _take_gradients(self, stepped: list[Parameter], unscale: Any) -> None:
        left = take_gradients(stepped) if self._is_quick(unscale) else stepped
        if left:
            self._take(left, unscale)

    @torch.no_grad()
    def _take(self, some: list[Parameter], unscale: Any) -> None:
        new = self._read_gradients(some, unscale)
        for each in some:
            each.gradient_taken(self.page, unscale, self.schedule, new=each in new)

    def after_step(self, stepped: list[Parameter], *, gradients: bool) -> None:
        """Measure by how much each parameter moved, and its value.

        `gradients` that were computed inside the step are still there to be measured.
        """
        if gradients:
            self._take_gradients(stepped, None)
        left = measure_moves(stepped, large=self.schedule.large)
        if left:
            self._measure_moves(left)

    @torch.no_grad()
    def _measure_moves(self, some: list[Parameter]) -> None:
        for each in some:
            each.surrender(self.page)
            each.note_move(self.page, self.schedule)

    @torch.no_grad()
    def _measure_values(self, some: list[Parameter]) -> None:
        latest = self.page.latest
        for each in some:
            each.surrender(self.page)
            each.forget_gradient()
            if each.slots["value"] not in latest:
                each.note_value(self.page, self.schedule)

    def turn(self) -> None:
        """Measure what no optimizer has touched, and write the last of the step."""
        left: list[Parameter] = []
        if self.schedule.measured:
            large = self.schedule.large
            left = measure_values(self.all, large=large) if self._is_quick() else self.all
            if left:
                self._measure_values(left)
        self.listen()
        turn(self.all, self._sheet)
        for each in left:
            each.hand_back()
        self.page.tables.append(self._sheet.turn())

    def stop(self) -> None:
        """Remove every hook."""
        for handle in self._handles.values():
            handle.remove()
        self._handles.clear()
