"""Upstream and downstream gradients, heard through hooks on autograd nodes.

A pass is one backward pass of the user's. The gradients of several passes add up. Passes of
`torch.autograd.grad` count only where no `backward()` ran: they add nothing to `.grad`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch._C import _current_graph_task_id as current_pass
from torch.autograd.graph import Node

from gradtrace.summary import SMALL
from gradtrace_torch.live import (
    Arrivals,
    Departures,
    Gradient,
    LiveCall,
    LiveUse,
    LiveValue,
    Results,
    Slots,
)
from gradtrace_torch.notes import NESTED
from gradtrace_torch.statistics import Meter
from gradtrace_torch.sums import has_shape, reduced, sum_of

__all__ = ["Gradients"]

_ANY, _NONE = -1, -2
"""The pass that runs, where its number is not known yet, and where none runs that was asked for."""


class Gradients:
    """Receives the gradients of every pass and measures each once."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self.ran = False
        self.overheard = False
        """Whether a hook of the user's may change a gradient after it was noted."""
        self._serial = 0
        self._adds = False
        """Whether the running pass is a `backward()`."""
        self._hold = False
        self._deaf = False
        self._task = _NONE
        """The number that PyTorch has for the running pass."""
        self._added = False
        """Whether any pass was a `backward()`."""
        self._open: list[LiveUse] = []
        self._broken: set[int] = set()
        """Passes that raised before they were done."""
        self._noted: list[tuple[int, bool, Results, Slots, Departures, Arrivals]] = []

    # -- hooks ---------------------------------------------------------------------------

    def listen(self, call: LiveCall) -> None:
        """Hear the gradients that arrive at the results of `call` and depart through its uses."""
        results: dict[Node, list[LiveValue | None]] = {}
        slots: dict[Node, list[LiveUse | None]] = {}
        for value in call.results:
            if value.edge is not None:
                node, number = value.edge
                _put(results.setdefault(node, []), number, value)
        for use in call.uses:
            for node, slot in use.slots:
                _put(slots.setdefault(node, []), slot, use)
        hear = self._note if _is_small(call) else self._hear
        call.handles = tuple(
            [
                node.register_hook(partial(hear, results.get(node, ()), slots.get(node, ())))
                for node in results | slots
            ]
        )

    def listen_to_node(self, call: LiveCall, slots: Slots) -> None:
        """Hear a call that made one node and one result."""
        value = call.results[0]
        assert value.edge is not None
        results = (None,) * value.edge[1] + (value,)
        hear = self._note if _is_small(call) else self._hear
        call.handles = (call.nodes[0].register_hook(partial(hear, results, slots)),)

    def listen_to_leaf(self, value: LiveValue) -> None:
        """Hear what the leaf `value` gathers."""
        assert value.edge is not None
        value.handle = value.edge[0].register_hook(partial(self._hear, (value,), ()))

    def _note(
        self, results: Results, slots: Slots, downstream: Departures, upstream: Arrivals
    ) -> None:
        """Note small gradients, to be recorded when they are read."""
        if self._deaf or (current_pass() != self._task and self._is_unseen(results, upstream)):
            return
        if self._hold or self.overheard or any(map(_is_large, downstream)):
            self._record(results, slots, downstream, upstream)
        else:
            known = downstream if slots else (), upstream if results else ()
            self._noted.append((self._serial, self._adds, results, slots, *known))

    def _hear(
        self, results: Results, slots: Slots, downstream: Departures, upstream: Arrivals
    ) -> None:
        """Hear what arrives at a node and departs from it."""
        if self._deaf or (current_pass() != self._task and self._is_unseen(results, upstream)):
            return
        self._record(results, slots, downstream, upstream)

    def _is_unseen(self, results: Results, upstream: Arrivals) -> bool:
        """Tell whether a hook, a function or a thread began this pass; leaves gather in it too."""
        if self._task == _ANY:
            self._task = current_pass()
            return False
        self.ran = True
        for value, gradient in zip(results, upstream, strict=False):
            if value is not None and gradient is not None:
                value.note = NESTED
                if value.is_leaf:
                    self._gather(value, gradient)
        return True

    def _gather(self, leaf: LiveValue, gradient: Tensor) -> None:
        """Record what a leaf gathered in a pass inside another, or in another thread."""
        outer, self._adds, self._added = self._adds, True, True
        with torch.no_grad():
            leaf.gradient = self._total(leaf.gradient, gradient, leaf=True)
        self._adds = outer

    def _record(
        self, results: Results, slots: Slots, downstream: Departures, upstream: Arrivals
    ) -> None:
        """Record what arrives at a node and departs from it."""
        if torch.is_grad_enabled():
            with torch.no_grad():
                self._record(results, slots, downstream, upstream)
            return
        for value, gradient in zip(results, upstream, strict=False):
            if value is not None and gradient is not None:
                self.arrive(value, gradient)
        arrived = results[0].gradient if len(results) == 1 and results[0] else None
        for use, share in zip(slots, downstream, strict=False):
            if use is not None:
                self._depart(use, share, arrived)

    def read_notes(self) -> None:
        """Record the gradients that were only noted."""
        with torch.no_grad():
            for serial, adds, results, slots, downstream, upstream in self._noted:
                self._serial, self._adds = serial, adds
                self._record(results, slots, downstream, upstream)
            self._noted.clear()
            self._settle_all()

    # -- passes --------------------------------------------------------------------------

    @contextmanager
    def listening(
        self, *, adds: bool, hold: bool, deaf: bool, seeds: list[tuple[LiveValue, Tensor]]
    ) -> Iterator[None]:
        """Receive one pass.

        `hold` keeps its gradients, since another pass may add to them; a `deaf` pass, whose
        gradients are batched, is not recorded.
        """
        outer = self._adds, self._hold, self._deaf, self._task
        self._serial += 1
        self._adds, self._hold, self._deaf, self._task = adds, hold, deaf, _ANY
        self._added |= adds
        self.ran = True
        with torch.no_grad():
            for value, seed in seeds:
                value.seed = self._total(value.seed, seed)
        try:
            yield
        except BaseException:
            self._broken.add(self._serial)
            raise
        finally:
            with torch.no_grad():
                self._settle_all()
            self._adds, self._hold, self._deaf, self._task = outer

    def is_partial(self, gradient: Gradient) -> bool:
        """Tell whether a gradient comes from a pass that raised before it was done."""
        return gradient.serial in self._broken

    def counts(self, gradient: Gradient | None) -> bool:
        """Tell whether a gradient belongs in the graph."""
        return gradient is not None and (gradient.adds or not self._added)

    # -- gradients -----------------------------------------------------------------------

    def arrive(self, value: LiveValue, gradient: Tensor) -> None:
        """Record the upstream gradient of `value` in the running pass."""
        earlier = value.gradient
        if earlier is not None and earlier.serial == self._serial:
            if value.is_leaf and not earlier.lost:
                value.note = NESTED
                value.gradient = self._total(earlier, gradient, leaf=True)
            return
        if len(value.uses) == 1 and value.seed is None and not value.watched:
            use = value.uses[0]
            if use.partial is not None and use.remaining == 0:  # deferred by `_depart`
                use.partial = None
                use.gradient = value.gradient = self._total(
                    use.gradient, gradient, leaf=value.is_leaf
                )
                return
            if use.gradient is not None and use.gradient.is_of(gradient):
                if value.is_leaf:
                    use.gradient.hold(gradient)
                value.gradient = use.gradient
                return
        value.gradient = self._total(earlier, gradient, leaf=value.is_leaf)

    def _depart(self, use: LiveUse, gradient: Tensor | None, arrived: Gradient | None) -> None:
        """Record the share that one slot of `use` passes back of what `arrived`."""
        shape = use.value.shape
        if use.slot_count == 1:
            if gradient is None:
                return
            if has_shape(gradient, shape):
                use.gradient = self._total(use.gradient, gradient, like=arrived)
            else:  # autograd sums it to the operand's shape next: measure that, not both
                use.partial, use.remaining = gradient, 0
                self._open.append(use)
            return
        if use.remaining == 0:
            use.remaining = use.slot_count
            self._open.append(use)
        use.remaining -= 1
        if gradient is not None:
            share = reduced(gradient, shape)
            use.partial = share if use.partial is None else use.partial + share
        if use.remaining == 0:
            self._settle(use)

    def _settle_all(self) -> None:
        for use in self._open:
            self._settle(use)
        self._open.clear()

    def _settle(self, use: LiveUse) -> None:
        """Record what has come through the slots of `use`."""
        if use.partial is not None:
            use.gradient = self._total(use.gradient, reduced(use.partial, use.value.shape))
        use.partial, use.remaining = None, 0

    def _total(
        self,
        earlier: Gradient | None,
        gradient: Tensor,
        *,
        leaf: bool = False,
        like: Gradient | None = None,
    ) -> Gradient:
        """Return what earlier passes brought plus `gradient`, which may be a view of `like`."""
        if earlier is not None and self._adds and not earlier.adds:
            earlier = None
        if earlier is not None and earlier.adds and not self._adds:
            return earlier
        total = gradient if earlier is None else sum_of(earlier, gradient)
        if total is None:
            assert earlier is not None
            earlier.lost = True
            return earlier
        found = Gradient(self._serial, self._adds)
        self.meter.read(found, total, own=leaf, like=like)
        if self._hold or leaf:
            found.hold(total)
        return found


def _put(places: list[Any], index: int, what: LiveValue | LiveUse) -> None:
    """Put `what` at its place in a list that grows as it must."""
    places.extend([None] * (index + 1 - len(places)))
    places[index] = what


def _is_small(call: LiveCall) -> bool:
    """Tell whether all that a call took and made is small."""
    for value in call.results:
        if value.tensor is None:
            return False
    for use in call.uses:  # noqa: SIM110 - a generator takes twice as long
        if use.value.tensor is None:
            return False
    return True


def _is_large(gradient: Tensor | None) -> bool:
    return gradient is not None and gradient.numel() > SMALL
