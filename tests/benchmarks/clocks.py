"""How long one run takes, on the CPU or with a device at work."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Any

import torch

__all__ = ["clock_of", "cpu_time"]


def clock_of(device: str) -> Callable[[Callable[[], Any]], float]:
    """Return what times one run: CPU time, or the time until a device has done all of it."""
    return cpu_time if device == "cpu" else _wall_time


def cpu_time(run: Callable[[], Any]) -> float:
    """Time one run; it starts without the garbage of the one before, which is not its own."""
    gc.collect()
    began = time.process_time()
    run()
    return time.process_time() - began


def _wall_time(run: Callable[[], Any]) -> float:
    gc.collect()
    torch.accelerator.synchronize()
    began = time.perf_counter()
    run()
    torch.accelerator.synchronize()
    return time.perf_counter() - began
