"""How much longer a training step takes when it is recorded."""

from __future__ import annotations

import gc
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import mean, median
from typing import Any

import torch

import gradtrace
from tests.benchmarks.steps import STEPS

__all__ = ["report"]

OPTIONS: dict[str, dict[str, Any]] = {
    "every step": {"histograms_every": None},
    "histograms every 20th": {"histograms_every": 20},
    "every step, large_every=1": {"histograms_every": None, "large_every": 1},
}

OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "SGD": partial(torch.optim.SGD, lr=1e-3),
    "AdamW": partial(torch.optim.AdamW, lr=1e-3),
}


def report(*, rounds: int) -> None:
    """Print, for each model, optimizer and option, recorded steps as a multiple of bare ones.

    Bare and recorded steps alternate in one process; time is that of all its threads, so that
    what is written in another thread counts.
    """
    print(f"CPU time of a recorded step / of a bare one, over {rounds} interleaved steps")
    for name in STEPS:
        for optimizer in OPTIMIZERS:
            for option, options in OPTIONS.items():
                bare, middle, average, least = ratios(name, optimizer, options, rounds)
                print(
                    f"  {name}, {optimizer} ({bare * 1e3:.1f} ms), {option}: "
                    f"median {middle:.3f}, mean {average:.3f}, least {least:.3f}",
                    flush=True,
                )


def ratios(
    name: str, optimizer: str, options: dict[str, Any], rounds: int
) -> tuple[float, float, float, float]:
    """Return the median time of a bare step, with the ratios of medians, means and minima."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        bare = _training(name, optimizer)
        model, recorded = _training(name, optimizer, whole=True)
        recorder = gradtrace.record(model, folder / "run", snapshots_every=None, **options)
        times: dict[str, list[float]] = {"bare": [], "recorded": []}
        stack.enter_context(recorder)

        def step() -> None:
            recorded()
            recorder.step()

        for _ in range(3):
            bare()
            step()
        gc.collect()
        gc.freeze()  # so that each later collection is quick
        for _ in range(rounds):
            times["bare"].append(_cpu_time(bare))
            times["recorded"].append(_cpu_time(step))
    gc.enable()
    gc.unfreeze()
    ratio = {f: f(times["recorded"]) / f(times["bare"]) for f in (median, mean, min)}
    return median(times["bare"]), ratio[median], ratio[mean], ratio[min]


def _training(name: str, optimizer: str, *, whole: bool = False) -> Any:
    torch.manual_seed(0)
    step = STEPS[name]()
    assert step.model is not None
    stepper = OPTIMIZERS[optimizer](step.model.parameters())

    def train() -> None:
        step.run()
        stepper.step()
        stepper.zero_grad()

    return (step.model, train) if whole else train


def _cpu_time(run: Callable[[], Any]) -> float:
    """Time one run; it starts without the garbage of the one before, which is not its own."""
    gc.collect()
    gc.disable()
    began = time.process_time()
    run()
    return time.process_time() - began
