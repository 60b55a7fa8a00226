"""Numbers on their way from a device, which nothing in the training step waits for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gradtrace.recording.ledger import Layout, Page, statistics_of
from gradtrace.recording.sample import FIELDS, Series

__all__ = ["PageReading", "Transfer"]

_WIDTH = len(FIELDS)


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
        self._layout = layout
        self.series: tuple[Series, ...] = layout.series
        self._slots = np.array([slot for slot, _ in rows], dtype=np.intp)
        self._cells: list[Any] = [cell for _, row in rows for cell in row]
        self._names = list(page.scalars)
        self._cells += page.scalars.values()
        self._histograms = page.histograms
        self._transfers: list[tuple[list[int], Transfer]] = []
        self._send()

    def _send(self) -> None:
        by_device: dict[torch.device, list[int]] = {}
        for place, cell in enumerate(self._cells):
            if isinstance(cell, Tensor):
                by_device.setdefault(cell.device, []).append(place)
        with torch.no_grad():
            self._transfers = [
                (places, Transfer([self._cells[place] for place in places]))
                for places in by_device.values()
            ]
        for places in by_device.values():
            for place in places:
                self._cells[place] = None

    def ready(self) -> bool:
        """Tell whether all numbers have come."""
        return all(transfer.ready() for _, transfer in self._transfers)

    def numbers(
        self,
    ) -> tuple[dict[str, float], npt.NDArray[np.float64], Mapping[int, npt.NDArray[np.uint32]]]:
        """Return scalars, statistics and histograms; see `Reading`."""
        for places, transfer in self._transfers:
            for place, number in zip(places, transfer.numbers(), strict=True):
                self._cells[place] = number
        count = len(self._slots) * _WIDTH
        rows = np.array(self._cells[:count], dtype=np.float64).reshape(-1, _WIDTH)
        scalars = dict(zip(self._names, map(float, self._cells[count:]), strict=True))
        statistics = statistics_of(self._slots, rows, self._layout)
        positions = self._layout.positions
        histograms = {
            int(positions[slot]): counts
            for slot, counts in self._histograms.items()
            if counts is not None
        }
        return scalars, statistics, histograms
