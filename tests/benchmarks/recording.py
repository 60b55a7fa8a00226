"""How much longer a training step takes when it is recorded."""

from __future__ import annotations

import gc
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
    what is written in another thread counts. Last comes a plain loop that has gone on for a while,
    where garbage is collected as it comes and gradients may have become very small.
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
        print(f"  {name}, AdamW, in a plain loop: {in_a_plain_loop(name):.3f}", flush=True)


def ratios(
    name: str, optimizer: str, options: dict[str, Any], rounds: int
) -> tuple[float, float, float, float]:
    """Return the median time of a bare step, with the ratios of medians, means and minima."""
    times: dict[str, list[float]] = {"bare": [], "recorded": []}
    with _bare_and_recorded(name, optimizer, options) as (bare, recorded):
        gc.collect()
        gc.freeze()  # so that each later collection is quick
        for _ in range(rounds):
            times["bare"].append(_cpu_time(bare))
            times["recorded"].append(_cpu_time(recorded))
    gc.enable()
    gc.unfreeze()
    ratio = {f: f(times["recorded"]) / f(times["bare"]) for f in (median, mean, min)}
    return median(times["bare"]), ratio[median], ratio[mean], ratio[min]


def in_a_plain_loop(name: str, *, seconds: float = 6.0, block: float = 0.1) -> float:
    """Return the ratio in the second half of some seconds, in which blocks of steps alternate."""
    spent: dict[Callable[[], None], list[float]] = {}
    with _bare_and_recorded(name, "AdamW", OPTIONS["every step"]) as steps:
        began = time.process_time()
        steps[0]()
        count = max(1, round(block / (time.process_time() - began)))
        while time.process_time() - began < seconds:
            for step in steps:
                before = time.process_time()
                for _ in range(count):
                    step()
                spent.setdefault(step, []).append(time.process_time() - before)
    bare, recorded = (sum(each[len(each) // 2 :]) for each in spent.values())
    return recorded / bare


@contextmanager
def _bare_and_recorded(
    name: str, optimizer: str, options: dict[str, Any]
) -> Iterator[tuple[Callable[[], None], Callable[[], None]]]:
    """Yield a step and a recorded one of the same training, after a few of each."""
    with tempfile.TemporaryDirectory() as folder:
        bare = _training(name, optimizer)
        model, train = _training(name, optimizer, whole=True)
        with gradtrace.record(
            model, Path(folder) / "run", snapshots_every=None, **options
        ) as recorder:

            def step() -> None:
                train()
                recorder.step()

            for _ in range(3):
                bare()
                step()
            yield bare, step


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
