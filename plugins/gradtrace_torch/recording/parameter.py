"""What is measured of one parameter: its gradient as it comes and as it is taken, its value."""

from __future__ import annotations

import weakref
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gradtrace.recording.ledger import Layout, Page, Row
from gradtrace.recording.observer import LARGE, Schedule
from gradtrace.recording.sample import Series
from gradtrace_torch.compiled import QuickParameter
from gradtrace_torch.recording.ranks import local_of, spread_of
from gradtrace_torch.recording.reductions import histogram, measure, move_of, scaled

__all__ = ["Parameter"]

Pair = tuple[Tensor, Tensor]
"""What a tensor is now, and what it was before."""


_QUANTITIES = ("value", "gradient", "unclipped gradient", "update")

_SUMS = slice(1, 3)
"""The columns of a row that tell one gradient from another; those not computed are NaN."""


class _Measured(NamedTuple):
    """The gradient that was measured last, which is not kept alive."""

    tensor: weakref.ref[Tensor]
    version: int
    raw: Row | None
    row: Row | None
    """What `raw` is without the scale of a GradScaler."""

    def is_of(self, tensor: Tensor) -> bool:
        """Tell whether it is the same tensor, and no version was counted since."""
        return self.tensor() is tensor and self.version == tensor._version

    def is_like(self, row: Row | None) -> bool:
        """Tell whether what is measured now says so too: `.data` counts no versions."""
        return row is None or self.raw is None or row[_SUMS] == self.raw[_SUMS]


class Parameter(QuickParameter):
    """One parameter; what is written here is done where it cannot be done quickly."""

    def __init__(self, name: str, tensor: Tensor, layout: Layout) -> None:
        self._name = name
        self._spread = spread_of(tensor)
        self.slots = {quantity: layout.slot(self.series(quantity)) for quantity in _QUANTITIES}
        super().__init__(tensor, list(self.slots.values()))
        self._gradient: _Measured | None = None
        self._arrived: Row | None = None
        """The gradient as it was accumulated, until an optimizer takes it."""
        self._value: tuple[int, Row] | None = None
        """The version of the value that was measured last."""
        self._copy: Tensor | None = None
        self._room: Tensor | None = None
        """Memory for the next copy; a large one is given back where none is needed next."""

    def series(self, quantity: str) -> Series:
        """Return the series of one of its quantities."""
        scope = self._name.rpartition(".")[0]
        return Series(self._name, quantity, "parameter", None, scope, self._spread)

    def surrender(self, page: Page) -> None:
        """Do here what is still to be done in this step, and keep what was done quickly."""
        if not self.odd:
            rows, taken, accumulated = self.give_up()
            (page.latest if taken else page.arrived).update(rows)
            self._arrived = accumulated or self._arrived

    def hand_back(self) -> None:
        """Let the next step be measured quickly again, as far as it can be."""
        row = self._arrived
        if row is not None and not any(isinstance(cell, Tensor) for cell in row):
            self.resume(row)
            self._arrived = None

    def value(self) -> Tensor | None:
        """Return what this process holds of it; None where there is nothing to read."""
        tensor = self.tensor
        if tensor.is_meta or torch.nn.parameter.is_lazy(tensor):
            return None
        return local_of(tensor)

    def unread_gradient(self) -> Tensor | None:
        """Return the gradient; on a device, only one that is not known to be measured already."""
        gradient = self.tensor.grad
        if gradient is None:
            self._gradient = self._arrived = None
            return None
        local = local_of(gradient)
        known = self._gradient
        return local if local.is_cpu or known is None or not known.is_of(local) else None

    def learn_gradient(self, gradient: Tensor, row: Row | None, unscale: Any) -> bool:
        """Take what was measured of the gradient, times `unscale`; tell whether it is new."""
        known = self._gradient
        if known is not None and known.is_of(gradient) and known.is_like(row):
            return False
        unscaled = row if row is None or unscale is None else scaled(row, unscale)
        self._gradient = _Measured(weakref.ref(gradient), gradient._version, row, unscaled)
        return True

    def gradient_arrived(self, page: Page, unscale: Any, schedule: Schedule, *, new: bool) -> None:
        """Note the gradient as it has been accumulated."""
        row = self._arrived = self._gradient and self._gradient.row
        if row:
            page.arrived[self.slots["unclipped gradient"]] = row
            page.arrived[self.slots["gradient"]] = row
            if schedule.histograms and new:
                self._count(page.counted, unscale)

    def rescale(self, page: Page, factor: Any) -> None:
        """Multiply by `factor` what was measured of the gradient."""
        known = self._gradient
        if known is not None and known.row is not None:
            self._gradient = known._replace(row=scaled(known.row, factor))
        if self._arrived is not None:
            self._arrived = scaled(self._arrived, factor)
        for slot in (self.slots["unclipped gradient"], self.slots["gradient"]):
            if slot in page.arrived:
                page.arrived[slot] = scaled(page.arrived[slot], factor)

    def gradient_taken(self, page: Page, unscale: Any, schedule: Schedule, *, new: bool) -> None:
        """Note the gradient as an optimizer takes it."""
        row = self._gradient and self._gradient.row
        if row:
            page.latest[self.slots["gradient"]] = row
            page.latest[self.slots["unclipped gradient"]] = self._arrived or row
            slot = self.slots["gradient"]
            if slot in page.counted and not new:
                page.histograms[slot] = page.counted[slot]
            elif schedule.histograms:
                self._count(page.histograms, unscale)

    def _count(self, histograms: dict[int, Any], unscale: Any) -> None:
        gradient = self.tensor.grad
        if gradient is not None:
            gradient = local_of(gradient).detach()
            histograms[self.slots["gradient"]] = histogram(
                gradient if unscale is None else gradient * unscale
            )

    def _moves(self, value: Tensor, schedule: Schedule) -> bool:
        return schedule.large or value.numel() <= LARGE

    def before(self, schedule: Schedule) -> Pair | None:
        """Return memory for a copy, and the value that an optimizer is about to change."""
        value = self.value()
        if value is None or not self._moves(value, schedule):
            self._room = None
            return None
        room = self._room
        if room is None or not _are_alike(room, value):
            room = self._room = torch.empty_like(value)
        self._copy = room
        return room, value

    def note_move(self, page: Page, schedule: Schedule) -> None:
        """Note the value, and by how much it has moved where that can be told."""
        copy, self._copy, self._arrived = self._copy, None, None
        value = self.value()
        if copy is None or value is None or not _are_alike(value, copy):
            self._value = None  # it may have been written to through `.data`, unnoticed
            self.note_value(page, schedule)
        else:
            self._read_value(page, value, schedule)
            if self._value is not None:  # else its memory was freed, and may not be read
                self._note(page, "update", move_of(value, copy), schedule)

    def note_value(self, page: Page, schedule: Schedule) -> None:
        """Note the value; a large one that nobody wrote to since is not measured again."""
        value = self.value()
        if value is None:
            return
        known = self._value
        if known is None or known[0] != value._version or self._moves(value, schedule):
            self._read_value(page, value, schedule)
        else:
            self._keep(page, "value", known[1], value, schedule)

    def _read_value(self, page: Page, value: Tensor, schedule: Schedule) -> None:
        row = self._note(page, "value", value, schedule)
        self._value = None if row is None else (value._version, row)

    def _note(self, page: Page, quantity: str, tensor: Tensor, schedule: Schedule) -> Row | None:
        row = measure(tensor, extremes=True)
        if row is not None:
            self._keep(page, quantity, row, tensor, schedule)
        return row

    def _keep(
        self, page: Page, quantity: str, row: Row, tensor: Tensor, schedule: Schedule
    ) -> None:
        page.latest[self.slots[quantity]] = row
        if schedule.histograms:
            page.histograms[self.slots[quantity]] = histogram(tensor)

    def forget_gradient(self) -> None:
        """Let go of the gradient, as a step ends."""
        self._gradient = None


def _are_alike(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and one.dtype is other.dtype and one.device == other.device
