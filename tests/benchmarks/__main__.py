"""The command `python -m tests.benchmarks`."""

from __future__ import annotations

import argparse

import torch

from tests.benchmarks import (
    dashboard,
    growth,
    imports,
    jacobians,
    memory,
    overhead,
    recording,
    recordings,
)


def main() -> None:
    """Run the benchmarks that are asked for, all unless told."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=main.__doc__)
    names = (
        *("time", "jacobians", "memory", "growth", "import"),
        *("recording", "recordings", "dashboard"),
    )
    parser.add_argument("only", nargs="*", help=f"some of {', '.join(names)}")
    parser.add_argument("--rounds", type=int, default=25, help="runs of each step (25)")
    parser.add_argument("--everything", action="store_true", help="time all options of a trace")
    parser.add_argument("--device", default="cpu", help="where the steps are timed (cpu)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    chosen = arguments.only or names
    if "import" in chosen:
        imports.report()
    if "time" in chosen:
        overhead.report(
            rounds=arguments.rounds, everything=arguments.everything, device=arguments.device
        )
    if "jacobians" in chosen:
        jacobians.report(rounds=5)
    if "memory" in chosen:
        memory.report()
    if "growth" in chosen:
        growth.report()
    if "recording" in chosen:
        recording.report(rounds=arguments.rounds)
    if "recordings" in chosen:
        recordings.report()
    if "dashboard" in chosen:
        dashboard.report()


if __name__ == "__main__":
    main()
