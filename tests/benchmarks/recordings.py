"""How long it takes to write steps, to open a long run, and to read one quantity of it."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from gradtrace.recording.sample import BINS, FIELDS, Series, Step
from gradtrace.recording.store import Store

__all__ = ["layout", "report", "steps_of", "write"]

READ = """
import sys, time
began = time.perf_counter()
import gradtrace
opened = gradtrace.open_recording(sys.argv[1])
matrix = opened.matrix("gradient")
print(time.perf_counter() - began, *matrix.shape)
"""


def report(steps: int = 100_000, nodes: int = 200) -> None:
    """Print the figures for a long run, then for one with a histogram at every step."""
    with tempfile.TemporaryDirectory() as folder:
        print(
            f"a run of {nodes:,} nodes × {steps:,} steps, 2 quantities, "
            f"{len(FIELDS)} statistics each"
        )
        path = Path(folder) / "rank00000.sqlite"
        _print_written(path, *write(path, layout(nodes), steps), steps)
        found = [_read(folder) for _ in range(3)]
        seconds = ", ".join(f"{each:.2f}" for each in found)
        print(f"  open it and read one quantity, in a new process: {seconds} s", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        print(f"a run of {nodes:,} nodes × 5,000 steps, each with histograms")
        path = Path(folder) / "rank00000.sqlite"
        _print_written(path, *write(path, layout(nodes), 5_000, histograms=True), 5_000)


def layout(nodes: int) -> tuple[Series, ...]:
    """Return series of value and gradient for as many parameters."""
    return tuple(
        Series(f"layers.{node}.weight", quantity, scope=f"layers.{node}")
        for node in range(nodes)
        for quantity in ("value", "gradient")
    )


def steps_of(
    series: tuple[Series, ...], first: int, count: int, *, histograms: bool = False
) -> list[Step]:
    """Return steps with numbers as noisy as those of a training."""
    draw = np.random.default_rng(first)
    numbers = np.zeros((count, len(series), len(FIELDS)))
    numbers[:, :, 0] = 1024
    numbers[:, :, 1:5] = draw.lognormal(size=(count, len(series), 4))
    numbers[:, :, 7] = np.nan
    counts = draw.poisson(16, size=(len(series), BINS)).astype(np.uint32)
    shown = dict(enumerate(counts)) if histograms else None
    return [
        Step(first + row, float(first + row), {"loss": float(draw.random())}, series, each, shown)
        for row, each in enumerate(numbers)
    ]


def write(
    path: Path, series: tuple[Series, ...], steps: int, *, histograms: bool = False
) -> tuple[float, list[float]]:
    """Write a run of so many steps; return the seconds in all, and those of each step."""
    store = Store(path, "benchmark", {})
    times = []
    for first in range(0, steps, 100):
        for step in steps_of(series, first, 100, histograms=histograms):
            began = time.perf_counter()
            store.append([step])
            times.append(time.perf_counter() - began)
    began = time.perf_counter()
    store.close("finished")
    return sum(times) + time.perf_counter() - began, times


def _print_written(path: Path, seconds: float, times: list[float], steps: int) -> None:
    middle, worst = np.quantile(times, [0.5, 0.999]) * 1e3
    print(
        f"  written in {seconds:.1f} s: {seconds / steps * 1e3:.2f} ms a step, median "
        f"{middle:.2f}, 99.9 % below {worst:.0f}; {path.stat().st_size / 1e6:,.0f} MB",
        flush=True,
    )


def _read(folder: str) -> float:
    done = subprocess.run(
        [sys.executable, "-c", READ, folder], capture_output=True, text=True, check=True
    )
    return float(done.stdout.split()[0])


if __name__ == "__main__":
    report()
