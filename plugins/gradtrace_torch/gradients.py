"""Upstream and downstream gradients, heard through hooks on autograd nodes.

A pass is one backward pass of the user's. The gradients of several passes add up. Passes of
`torch.autograd.grad` count only where no `backward()` ran: they add nothing to `.grad`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import Node

from gradtrace.summary import SMALL
from gradtrace_torch.live import Gradient, LiveCall, LiveUse, LiveValue
from gradtrace_torch.statistics import Meter

__all__ = ["Gradients"]

Results = Sequence[LiveValue | None]
"""What arrives at a node: a value for each of its outputs, None where nobody knows one."""

Slots = Sequence[LiveUse | None]
"""What departs from a node: a use for each of its slots, None where nobody knows one."""

Arrivals = Sequence[Tensor | None]
"""Upstream gradients of a node, one for each of its outputs."""

Departures = Sequence[Tensor | None]
"""Downstream gradients of a node, one for each of its slots."""

LOST = "its gradient came in several passes that cannot be added up after the fact"
CHANGED = "a hook on the tensor may change its gradient"
PARTIAL = "the backward pass raised before it was done"
NESTED = "part of its gradient came through a call that runs a backward pass of its own"


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
        if self._deaf:
            return
        if self._hold or self.overheard or any(map(_is_large, downstream)):
            self._hear(results, slots, downstream, upstream)
        else:
            known = downstream if slots else (), upstream if results else ()
            self._noted.append((self._serial, self._adds, results, slots, *known))

    def _hear(
        self, results: Results, slots: Slots, downstream: Departures, upstream: Arrivals
    ) -> None:
        """Record what arrives at a node and departs from it."""
        if self._deaf:
            return
        if torch.is_grad_enabled():
            with torch.no_grad():
                self._hear(results, slots, downstream, upstream)
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
                self._hear(results, slots, downstream, upstream)
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
        outer = self._adds, self._hold, self._deaf
        self._serial += 1
        self._adds, self._hold, self._deaf = adds, hold, deaf
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
            self._adds, self._hold, self._deaf = outer

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
            if gradient.shape == shape:
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
            share = _reduced(gradient, shape)
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
            use.gradient = self._total(use.gradient, _reduced(use.partial, use.value.shape))
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
        total = gradient if earlier is None else _sum(earlier, gradient)
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


def _reduced(gradient: Tensor, shape: Any) -> Tensor:
    """Return `gradient` summed to `shape`, as autograd itself does with what was broadcast."""
    return gradient if gradient.shape == shape else gradient.sum_to_size(shape)


def _sum(earlier: Gradient, gradient: Tensor) -> Tensor | None:
    """Return earlier + gradient, None where the elements of the earlier one are gone.

    Autograd adds to `.grad` in place, and the first gradient of a leaf often is its `.grad`:
    then the tensor that is held already holds the sum.
    """
    held, kept = earlier.held, earlier.elements()
    if earlier.lost:
        return None
    if held is None:
        if kept is None or kept.numel() != gradient.numel():
            return None
        return kept.reshape(gradient.shape) + gradient
    if held._version == earlier.held_version:
        return held + gradient
    if held._version == earlier.held_version + 1 and held.data_ptr() != gradient.data_ptr():
        return held
    return None
