"""Numbers on their way from a device, which nothing in the training step waits for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gradtrace.errors import OptionError
from gradtrace.recording.ledger import Layout, Page, rows_of, slots_of
from gradtrace.recording.sample import FIELDS, Series
from gradtrace_torch.recording.reductions import Histogram, binned
from gradtrace_torch.remote import is_accelerated, precise

__all__ = ["PageReading", "Transfer", "as_scalar"]

_SUMSQ, _LEAST, _LARGEST = (FIELDS.index(name) for name in ("sumsq", "min", "max"))

Place = tuple[Any, Any]
"""Where a number is missing: a list or dict, with the index or key in it."""


class Transfer:
    """One copy of all numbers that are on one device, begun at once."""

    def __init__(self, numbers: list[Tensor]) -> None:
        device = numbers[0].device
        together = torch.stack([each.detach().to(precise(device)) for each in numbers])
        self._event: torch.Event | None = None
        if is_accelerated(device):
            self._host = torch.empty(together.shape, dtype=together.dtype, pin_memory=True)
            self._host.copy_(together, non_blocking=True)
            self._event = torch.Event(device)
            self._event.record(torch.accelerator.current_stream(device))
        else:
            self._host = together.cpu()

    def ready(self) -> bool:
        """Tell whether the numbers have come."""
        return self._event is None or self._event.query()

    def numbers(self) -> npt.NDArray[np.floating[Any]]:
        """Return the numbers, waiting for them if they have not come."""
        if self._event is not None:
            self._event.synchronize()
        return self._host.numpy()


class PageReading:
    """A page as it is read: not in the step, but with those of the next steps."""

    def __init__(self, page: Page, layout: Layout) -> None:
        self.series: tuple[Series, ...] = layout.series
        self._layout = layout
        self._page = page
        self._slots: list[int] = []
        self._rows: list[Any] = []
        for slot, row in page.all_rows:
            self._slots.append(slot)
            self._rows.append(row)
        self._histograms = page.all_histograms
        self._transfers = list(self._send())

    def _send(self) -> Iterator[tuple[list[Place], Transfer]]:
        """Begin to copy what is on a device, all that is on one and of one shape together."""
        alike: dict[tuple[torch.device, torch.Size], list[Place]] = {}

        def await_(holder: Any, key: Any) -> None:
            alike.setdefault((holder[key].device, holder[key].shape), []).append((holder, key))

        for number, row in enumerate(self._rows):
            if isinstance(row[_SUMSQ], Tensor):
                self._rows[number] = list(row)
                for column, cell in enumerate(row):
                    if isinstance(cell, Tensor):
                        await_(self._rows[number], column)
        for holder in (self._page.scalars, self._histograms):
            for key, number in holder.items():
                if isinstance(number, Tensor):
                    await_(holder, key)
        for places in alike.values():
            yield places, Transfer([holder[key] for holder, key in places])

    def ready(self) -> bool:
        """Tell whether all numbers have come."""
        return all(transfer.ready() for _, transfer in self._transfers)

    def numbers(
        self,
    ) -> tuple[dict[str, float], npt.NDArray[np.float64], Mapping[int, npt.NDArray[np.uint32]]]:
        """Return scalars, statistics and histograms; see `Reading`."""
        for places, transfer in self._transfers:
            for (holder, key), number in zip(places, transfer.numbers(), strict=True):
                holder[key] = number
        slots, rows = self._table()
        scalars = {name: float(scalar) for name, scalar in self._page.scalars.items()}
        histograms = {
            self._layout.position(slot, self.series): _in_bins(counts)
            for slot, counts in self._histograms.items()
            if counts is not None
        }
        return scalars, self._layout.plan(slots, self.series).statistics(rows), histograms

    def _table(self) -> tuple[npt.NDArray[np.intc], npt.NDArray[np.float64]]:
        """Return the slots of all rows, and the rows."""
        tables = self._page.tables
        slots = slots_of(b"".join([slots for slots, _ in tables]))
        rows = rows_of(b"".join([numbers for _, numbers in tables]))
        if not self._slots:
            return slots, rows
        more = np.array(self._rows, dtype=np.float64)
        more[more[:, _LEAST] > more[:, _LARGEST], _LEAST : _LARGEST + 1] = np.nan  # none is finite
        return np.concatenate([slots, np.array(self._slots, np.intc)]), np.concatenate([rows, more])


def _in_bins(counts: npt.NDArray[Any]) -> Histogram:
    return counts if counts.dtype == np.uint32 else binned(counts)


def as_scalar(name: str, value: Any) -> Any:
    """Return a scalar of the user's without waiting for the device it is on."""
    if isinstance(value, Tensor):
        if value.numel() != 1:
            raise OptionError(
                f"{name} has shape {tuple(value.shape)}; recorder.step() takes numbers: pass "
                f"{name}.mean(), or one of its elements"
            )
        return value.detach().clone().reshape(())
    if not hasattr(value, "__float__"):
        raise OptionError(
            f"{name}={value!r} is no number; recorder.step() takes numbers, and text belongs in "
            "gradtrace.record(config=...)"
        )
    return value
