"""What is measured of one parameter: its gradient as it comes and as it is taken, its value."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gradtrace.recording.ledger import Layout, Page, Row
from gradtrace.recording.observer import Schedule
from gradtrace.recording.sample import Series
from gradtrace_torch.recording.ranks import local_of, spread_of
from gradtrace_torch.recording.reductions import histogram, measure, scaled

__all__ = ["Parameter"]

_AFFORDABLE = 2**14
"""Elements up to which extremes of a value are measured in every step."""


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
        self._gradient: tuple[Tensor, int, Row | None] | None = None
        """The gradient that was measured last, with the version it had."""
        self._value: tuple[int, Row] | None = None
        """The version of the value that was measured last."""

    def series(self, quantity: str) -> Series:
        """Return the series of one of its quantities."""
        scope = self._name.rpartition(".")[0]
        return Series(self._name, quantity, "parameter", None, scope, self._spread)

    def value(self) -> Tensor | None:
        """Return what this process holds of it; None where there is nothing to read."""
        if torch.nn.parameter.is_lazy(self.tensor) or self.tensor.is_meta:
            return None
        return local_of(self.tensor).detach()

    def gradient_arrived(self, page: Page, unscale: Any) -> None:
        """Measure the gradient as it has been accumulated, unless that is already done."""
        row = self._measured(unscale)
        if row is not None:
            page.latest[self.slots["unclipped gradient"]] = row
            page.latest.pop(self.slots["gradient"], None)

    def gradient_taken(self, page: Page, unscale: Any, schedule: Schedule) -> None:
        """Measure the gradient that an optimizer is about to take."""
        row = self._measured(unscale)
        if row is not None:
            page.latest[self.slots["gradient"]] = row
            page.latest.setdefault(self.slots["unclipped gradient"], row)
            if schedule.histograms:
                self._count(page, unscale)

    def _measured(self, unscale: Any) -> Row | None:
        gradient = self.tensor.grad
        if gradient is None:
            return None
        local = local_of(gradient)
        known = self._gradient
        if known is not None and known[0] is local and known[1] == local._version:
            return known[2]
        row = measure(local, extremes=True)
        if row is not None and unscale is not None:
            row = scaled(row, unscale)
        self._gradient = (local, local._version, row)
        return row

    def _count(self, page: Page, unscale: Any) -> None:
        if self._gradient is not None:
            gradient = self._gradient[0].detach()
            page.histograms[self.slots["gradient"]] = histogram(
                gradient if unscale is None else gradient * unscale
            )

    def measure_value(self, page: Page, schedule: Schedule) -> None:
        """Measure the value, unless it is known from a step before and nobody wrote to it."""
        tensor = self.value()
        if tensor is None:
            return
        thorough = schedule.updates or tensor.numel() <= _AFFORDABLE
        if self._value is None or self._value[0] != tensor._version or schedule.updates:
            row = measure(tensor, extremes=thorough)
            if row is None:
                return
            self._value = (tensor._version, row)
        page.latest[self.slots["value"]] = self._value[1]
        if schedule.histograms:
            page.histograms[self.slots["value"]] = histogram(tensor)

    def settle(self, page: Page, schedule: Schedule) -> None:
        """Complete what is known of it at the end of a step, and let go of its gradient."""
        if self.slots["value"] not in page.latest:
            self.measure_value(page, schedule)
        arrived = page.latest.get(self.slots["unclipped gradient"])
        if arrived is not None and self.slots["gradient"] not in page.latest:
            page.latest[self.slots["gradient"]] = arrived  # nothing has clipped it
            if schedule.histograms:
                self._count(page, None)
        self._gradient = None
