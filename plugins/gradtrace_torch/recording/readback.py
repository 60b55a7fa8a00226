"""Numbers on their way from a device, which nothing in the training step waits for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gradtrace.recording.ledger import Layout, Page
from gradtrace.recording.sample import FIELDS, Series

__all__ = ["PageReading", "Transfer"]

_WIDTH = len(FIELDS)
_SUMSQ = FIELDS.index("sumsq")

Place = tuple[Any, Any]
"""Where a number is missing: a list or dict, with the index or key in it."""


class Transfer:
    """One copy of all numbers that are on one device, begun at once."""

    def __init__(self, numbers: list[Tensor]) -> None:
        together = torch.stack([each.detach().reshape(()).double() for each in numbers])
        self._event: Any = None
        if together.is_cuda:
            self._host = torch.empty(together.shape, dtype=together.dtype, pin_memory=True)
            self._host.copy_(together, non_blocking=True)
            self._event = torch.cuda.Event()
            self._event.record()
        else:
            self._host = together.cpu()

    def ready(self) -> bool:
        """Tell whether the numbers have come."""
        return self._event is None or self._event.query()

    def numbers(self) -> list[float]:
        """Return the numbers, waiting for them if they have not come."""
        if self._event is not None:
            self._event.synchronize()
        return self._host.tolist()


class PageReading:
    """A page as it is read."""

    def __init__(self, page: Page, layout: Layout) -> None:
        rows = [*page.rows, *page.latest.items()]
        self._slots = [slot for slot, _ in rows]
        self._rows: list[Any] = [row for _, row in rows]
        self._scalars = page.scalars
        self._histograms = page.histograms
        self._layout = layout
        self._plan = layout.plan(self._slots)
        self.series: tuple[Series, ...] = layout.series
        self._transfers = list(self._send())

    def _send(self) -> Iterator[tuple[list[Place], Transfer]]:
        """Begin to copy what is on a device, all that is on one together."""
        by_device: dict[torch.device, list[Place]] = {}
        for number, row in enumerate(self._rows):
            if isinstance(row[_SUMSQ], Tensor):
                self._rows[number] = list(row)
                for column, cell in enumerate(row):
                    if isinstance(cell, Tensor):
                        place = (self._rows[number], column)
                        by_device.setdefault(cell.device, []).append(place)
        for name, scalar in self._scalars.items():
            if isinstance(scalar, Tensor):
                by_device.setdefault(scalar.device, []).append((self._scalars, name))
        for places in by_device.values():
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
        rows = np.array(self._rows, dtype=np.float64).reshape(-1, _WIDTH)
        scalars = {name: float(scalar) for name, scalar in self._scalars.items()}
        histograms = {
            self._layout.position(slot, self.series): counts
            for slot, counts in self._histograms.items()
            if counts is not None
        }
        return scalars, self._plan.statistics(rows), histograms
