"""Show a recording in TensorBoard, while it is written or afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from gradtrace.errors import RecordingError
from gradtrace.recording.sample import EDGES, FIELDS, Step
from gradtrace.recording.statistics import RATIOS

__all__ = ["TensorBoardSink"]

SUMSQ, NONFINITE = FIELDS.index("sumsq"), FIELDS.index("nonfinite")


class TensorBoardSink:
    """Writes one event a step, with the norm of every series, the ratios and the scalars.

    An event for each number takes thirty times as long.
    """

    name = "tensorboard"

    def __init__(self) -> None:
        self._writer: EventFileWriter | None = None

    def open(self, target: str, facts: Mapping[str, Any]) -> None:
        """Begin an event file in the folder `target`, which TensorBoard takes for one run."""
        self._writer = EventFileWriter(target)

    def write(self, step: Step) -> None:
        """Write the event of one step."""
        if self._writer is None:
            raise RecordingError("the tensorboard sink is not open; call its open() first")
        values = [*_numbers(step), *_histograms(step)]
        event = Event(wall_time=step.time, step=step.index, summary=Summary(value=values))
        self._writer.add_event(event)

    def close(self) -> None:
        """Write what waits, and close the file."""
        if self._writer is not None:
            self._writer.close()


def _numbers(step: Step) -> Iterator[Summary.Value]:
    for name, value in step.scalars.items():
        yield Summary.Value(tag=name, simple_value=value)
    norms = np.sqrt(step.statistics[:, SUMSQ])
    computed = ~np.isnan(norms) | (step.statistics[:, NONFINITE] > 0)
    norms[step.statistics[:, NONFINITE] > 0] = np.nan
    found = {
        (series.quantity, series.node): norm
        for series, norm, known in zip(step.series, norms.tolist(), computed, strict=True)
        if known
    }
    for (quantity, node), norm in found.items():
        yield Summary.Value(tag=f"{quantity} norm/{node}", simple_value=norm)
    for ratio, (above, below) in RATIOS.items():
        for quantity, node in found:
            if quantity == above and (whole := found.get((below, node))):
                value = found[above, node] / whole
                yield Summary.Value(tag=f"{ratio}/{node}", simple_value=value)


def _histograms(step: Step) -> Iterator[Summary.Value]:
    """Yield histograms of magnitudes, as TensorBoard draws them: without the outermost bin."""
    limits = [*EDGES.tolist(), float(EDGES[-1] * 2)]
    for position, counts in (step.histograms or {}).items():
        series, size = step.series[position], float(counts.sum())
        histogram = HistogramProto(
            min=0.0,
            max=limits[-1],
            num=size,
            sum=float(np.dot(counts, limits)),
            sum_squares=float(np.dot(counts, np.square(limits))),
            bucket_limit=limits,
            bucket=counts.tolist(),
        )
        yield Summary.Value(tag=f"{series.quantity}/{series.node}", histo=histogram)
