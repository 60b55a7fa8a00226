"""How much longer a step takes when it is traced."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from tests.benchmarks.steps import STEPS, Step

__all__ = ["OPTIONS", "cpu_time", "report"]

OPTIONS: dict[str, dict[str, Any]] = {
    "default": {},
    "keep=small": {"keep": "small"},
    "keep=all": {"keep": "all"},
    "derivatives=norm": {"derivatives": "norm"},
    "derivatives=exact": {"derivatives": "exact"},
    "detail=primitive": {"detail": "primitive"},
    "detail=module": {"detail": "module"},
}


def report(*, rounds: int, everything: bool) -> None:
    """Print, for each step and option, the median CPU time as a multiple of the untraced one."""
    print(f"CPU time of a traced step / of the untraced step, median of {rounds} interleaved runs")
    for name, make in STEPS.items():
        options = OPTIONS if everything else {"default": {}}
        untraced, ratios = _ratios(make(), options, rounds)
        shown = ", ".join(f"{option} {ratio:.2f}" for option, ratio in ratios.items())
        print(f"  {name} ({untraced * 1e3:.1f} ms): {shown}", flush=True)


def _ratios(
    step: Step, options: dict[str, dict[str, Any]], rounds: int
) -> tuple[float, dict[str, float]]:
    runs: dict[str, Callable[[], Any]] = {"": step.untraced}
    for name, chosen in options.items():
        runs[name] = lambda chosen=chosen: step.traced(**chosen)
    times: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run()
    for _ in range(rounds):
        for name, run in runs.items():
            times[name].append(cpu_time(run))
    medians = {name: median(each) for name, each in times.items()}
    untraced = medians.pop("")
    return untraced, {name: each / untraced for name, each in medians.items()}


def cpu_time(run: Callable[[], Any]) -> float:
    """Time one run; it starts without the garbage of the one before, which is not its own."""
    gc.collect()
    began = time.process_time()
    run()
    return time.process_time() - began
