"""How much more memory a step takes when it is traced."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from torch.profiler import ProfilerActivity, profile

from tests.benchmarks.steps import STEPS, Step

__all__ = ["report"]

WAYS = ("untraced", "summary", "small", "all")


def report() -> None:
    """Print the peak memory of each step, alone and traced.

    Tensors are counted by the profiler of torch, without those from before the step. The
    resident memory of the process counts everything; each is of a process of its own.
    """
    print("peak memory of a step in MB, of its tensors | of the process beyond what it had before")
    for number, name in enumerate(STEPS):
        shown = []
        for way in WAYS:
            command = [sys.executable, "-m", "tests.benchmarks.memory", str(number), way]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            tensors, resident = done.stdout.split()
            shown.append(f"{way} {float(tensors):.1f} | {float(resident):.1f}")
        print(f"  {name}: {', '.join(shown)}", flush=True)


def _run(step: Step, way: str) -> None:
    if way == "untraced":
        step.untraced()
    else:
        step.traced(keep=way)


def _tensors(step: Step, way: str) -> float:
    """Return the most bytes of tensors that were allocated and not yet freed at one time."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        _run(step, way)
    assert profiler.profiler is not None
    events = [e for e in profiler.profiler.kineto_results.events() if e.name() == "[memory]"]
    now = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        now += event.nbytes()
        peak = max(peak, now)
    return peak / 1e6


def _resident(step: Step, way: str) -> float:
    """Return the most memory of the process during a step, beyond what it had before."""
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    _run(step, way)
    return (_status("VmHWM") - before) / 1e3


def _status(field: str) -> int:
    """Return a field of the kernel's account of this process, in kB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


def _main(number: str, way: str) -> None:
    """Measure one step in one way; the resident memory first, before any step has run."""
    import torch

    torch.set_num_threads(1)
    step = list(STEPS.values())[int(number)]()
    list(STEPS.values())[-1]().traced()
    resident = _resident(step, way)
    print(_tensors(step, way), resident)


if __name__ == "__main__":
    _main(*sys.argv[1:])
