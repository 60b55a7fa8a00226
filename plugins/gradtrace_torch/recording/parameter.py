"""What is measured of one parameter: its gradient as it comes and as it is taken, its value."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from gradtrace.recording.ledger import Layout, Page, Row
from gradtrace.recording.observer import LARGE, Schedule
from gradtrace.recording.sample import Series
from gradtrace_torch.recording.ranks import local_of, spread_of
from gradtrace_torch.recording.reductions import (
    histogram,
    measure,
    move_of,
    rows_of_move,
    scaled,
)

__all__ = ["Parameter"]


_SUMS = slice(1, 3)
"""The columns of a row that tell one gradient from another; those not computed are NaN."""


class _Measured(NamedTuple):
    """The gradient that was measured last."""

    tensor: Tensor
    version: int
    raw: Row | None
    row: Row | None
    """What `raw` is without the scale of a GradScaler."""

    def is_stale(self) -> bool:
        """Tell whether it was written to since, also through `.data`, which counts no version."""
        if self.tensor._version != self.version:
            return True
        found = measure(self.tensor) if self.tensor.is_cpu else None
        return found is not None and self.raw is not None and found[_SUMS] != self.raw[_SUMS]


class Parameter:
    """One parameter."""

    def __init__(self, name: str, tensor: Tensor, layout: Layout) -> None:
        self.tensor = tensor
        self._name = name
        self._spread = spread_of(tensor)
        self.slots = {
            quantity: layout.slot(self.series(quantity))
            for quantity in ("value", "gradient", "unclipped gradient", "update")
        }
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

    def value(self) -> Tensor | None:
        """Return what this process holds of it; None where there is nothing to read."""
        if torch.nn.parameter.is_lazy(self.tensor) or self.tensor.is_meta:
            return None
        return local_of(self.tensor).detach()

    def read_gradient(self, unscale: Any) -> None:
        """Measure the gradient times `unscale`, unless that is done already."""
        gradient = self.tensor.grad
        if gradient is None:
            self._gradient = self._arrived = None
            return
        local = local_of(gradient)
        known = self._gradient
        if known is None or known.tensor is not local or known.is_stale():
            row = raw = measure(local, extremes=True)
            if row is not None and unscale is not None:
                row = scaled(row, unscale)
            self._gradient = _Measured(local, local._version, raw, row)

    def gradient_arrived(
        self, page: Page, unscale: Any, schedule: Schedule, *, surely: bool
    ) -> None:
        """Note the gradient as it has been accumulated; unless `surely`, if it is another one."""
        known = self._gradient
        self.read_gradient(unscale)
        if self._gradient is known and not surely:
            return
        row = self._arrived = self._gradient and self._gradient.row
        if row:
            page.arrived[self.slots["unclipped gradient"]] = row
            page.arrived[self.slots["gradient"]] = row
            if schedule.histograms and self._gradient is not known:
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

    def gradient_taken(self, page: Page, unscale: Any, schedule: Schedule) -> None:
        """Note the gradient as an optimizer takes it."""
        known = self._gradient
        self.read_gradient(unscale)
        row = self._gradient and self._gradient.row
        if row:
            page.latest[self.slots["gradient"]] = row
            page.latest[self.slots["unclipped gradient"]] = self._arrived or row
            slot = self.slots["gradient"]
            if slot in page.counted and self._gradient is known:
                page.histograms[slot] = page.counted[slot]
            elif schedule.histograms:
                self._count(page.histograms, unscale)

    def _count(self, histograms: dict[int, Any], unscale: Any) -> None:
        if self._gradient is not None:
            gradient = self._gradient.tensor.detach()
            histograms[self.slots["gradient"]] = histogram(
                gradient if unscale is None else gradient * unscale
            )

    def _moves(self, value: Tensor, schedule: Schedule) -> bool:
        return schedule.large or value.numel() <= LARGE

    def before(self, schedule: Schedule) -> None:
        """Copy the value, which an optimizer is about to change."""
        value = self.value()
        if value is None or not self._moves(value, schedule):
            self._room = None
            return
        room = self._room
        if room is None or room.shape != value.shape or room.dtype is not value.dtype:
            room = self._room = torch.empty_like(value)
        self._copy = room.copy_(value)

    def after(self, page: Page, schedule: Schedule) -> None:
        """Measure the value, and by how much it has moved since."""
        copy, self._copy, self._arrived = self._copy, None, None
        value = self.value()
        if copy is None or value is None or value.shape != copy.shape:
            self._value = None  # it may have been written to through `.data`, unnoticed
            self.measure_value(page, schedule)
            return
        known, row = rows_of_move(value, copy)
        self._note_value(page, value, known, schedule)
        if row is not None:
            page.latest[self.slots["update"]] = row
        if schedule.histograms:
            page.histograms[self.slots["update"]] = histogram(move_of(value, copy))

    def measure_value(self, page: Page, schedule: Schedule) -> None:
        """Measure the value; a large one that nobody wrote to is known from a step before."""
        value = self.value()
        if value is None:
            return
        known = self._value
        if known is None or known[0] != value._version or self._moves(value, schedule):
            measured = measure(value, extremes=True)
        else:
            measured = known[1]
        self._note_value(page, value, measured, schedule)

    def _note_value(self, page: Page, value: Tensor, row: Row | None, schedule: Schedule) -> None:
        self._value = None if row is None else (value._version, row)
        if row is not None:
            page.latest[self.slots["value"]] = row
            if schedule.histograms:
                page.histograms[self.slots["value"]] = histogram(value)

    def settle(self, page: Page, schedule: Schedule) -> None:
        """Complete what is known of it at the end of a step, and let go of its gradient."""
        if self.slots["value"] not in page.latest:
            self.measure_value(page, schedule)
        self._gradient = None
