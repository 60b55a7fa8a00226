"""How much longer a step takes when it is traced."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from typing import Any

import torch

from tests.benchmarks.clocks import clock_of
from tests.benchmarks.steps import LARGER, STEPS, Step

__all__ = ["OPTIONS", "report"]

OPTIONS: dict[str, dict[str, Any]] = {
    "default": {},
    "keep=small": {"keep": "small"},
    "keep=all": {"keep": "all"},
    "derivatives=norm": {"derivatives": "norm"},
    "derivatives=exact": {"derivatives": "exact"},
    "detail=primitive": {"detail": "primitive"},
    "detail=module": {"detail": "module"},
}


def report(*, rounds: int, everything: bool, device: str = "cpu") -> None:
    """Print, for each step and option, the median time as a multiple of the untraced one.

    It is CPU time, or on another device the time until that has done its work.
    """
    what = "CPU time" if device == "cpu" else f"time on {device}"
    print(f"{what} of a traced step / of the untraced step, median of {rounds} interleaved runs")
    for name, make in (STEPS if device == "cpu" else STEPS | LARGER).items():
        options = OPTIONS if everything else {"default": {}}
        with torch.device(device):
            step = make()
        untraced, ratios = _ratios(step, options, rounds, device)
        shown = ", ".join(f"{option} {ratio:.2f}" for option, ratio in ratios.items())
        print(f"  {name} ({untraced * 1e3:.1f} ms): {shown}", flush=True)


def _ratios(
    step: Step, options: dict[str, dict[str, Any]], rounds: int, device: str
) -> tuple[float, dict[str, float]]:
    runs: dict[str, Callable[[], Any]] = {"": step.untraced}
    for name, chosen in options.items():
        runs[name] = lambda chosen=chosen: step.traced(**chosen)
    clock = clock_of(device)
    times: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run()
    for _ in range(rounds):
        for name, run in runs.items():
            times[name].append(clock(run))
    medians = {name: median(each) for name, each in times.items()}
    untraced = medians.pop("")
    return untraced, {name: each / untraced for name, each in medians.items()}
