"""How long it takes to import gradtrace."""

from __future__ import annotations

import subprocess
import sys

__all__ = ["import_time", "report"]

PROGRAM = "import time; began = time.perf_counter(); import gradtrace{}; \
print(time.perf_counter() - began)"


def report() -> None:
    """Print how long the import takes, alone and with the first use of a name."""
    print(f"import gradtrace: {import_time() * 1e3:.0f} ms", end="")
    print(f"; with gradtrace.trace: {import_time(use='; gradtrace.trace') * 1e3:.0f} ms")


def import_time(*, use: str = "", runs: int = 7) -> float:
    """Return the seconds that an import takes in a process of its own, the least of some runs."""
    command = [sys.executable, "-c", PROGRAM.format(use)]
    done = [
        subprocess.run(command, capture_output=True, text=True, check=True) for _ in range(runs)
    ]
    return min(float(each.stdout) for each in done)
