"""A process that records a made-up training: `python -m tests.dashboard.trainer FOLDER SECONDS`."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from gradtrace.recording.sample import Step
from gradtrace.recording.writer import Writer
from tests.dashboard.runs import small_graph
from tests.recording.runs import training

__all__ = ["main"]


def main() -> None:
    """Train, ten steps a second, and print the number of each."""
    folder, seconds = Path(sys.argv[1]), float(sys.argv[2])
    made = training(100)
    writer = Writer(folder)
    writer.snapshot(0, small_graph())
    until = time.monotonic() + seconds
    index = 0
    while time.monotonic() < until:
        each = made[index % 100]
        writer.put(Step(index, time.time(), each.scalars, each.series, each.statistics))
        print(index, flush=True)
        index += 1
        time.sleep(0.1)
    writer.close()


if __name__ == "__main__":
    main()
