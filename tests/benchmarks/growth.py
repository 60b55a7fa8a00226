"""Whether the cost of a trace grows in proportion to its length."""

from __future__ import annotations

import resource
import time

import torch

import gradtrace

__all__ = ["report"]


def report() -> None:
    """Print the cost of chains of 10,000 calls and of 100,000."""
    print("a chain of calls, traced forward and backward")
    for length in (10_000, 100_000):
        seconds, nodes = _trace_chain(length)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"  {length:,} calls: {seconds:.2f} s, {seconds / length * 1e6:.0f} µs a call, "
            f"{nodes:,} nodes, peak of the process {peak:,.0f} MB",
            flush=True,
        )


def _trace_chain(length: int) -> tuple[float, int]:
    start = torch.ones(4, requires_grad=True)
    began = time.process_time()
    with gradtrace.trace() as graph:
        x = start
        for _ in range(length):
            x = x * 1.00001
        x.sum().backward()
    return time.process_time() - began, len(graph)
