"""Whether a long run traces without recursion, in time and memory in proportion to its length."""

from __future__ import annotations

import gc
import subprocess
import sys
import time
import tracemalloc

import pytest
import torch

import gradtrace


def chain(length: int) -> gradtrace.Graph:
    start = torch.ones(4, requires_grad=True)
    with gradtrace.trace() as graph:
        x = start
        for _ in range(length):
            x = x * 1.00001
        x.sum().backward()
    return graph


def seconds(length: int) -> float:
    gc.collect()
    began = time.process_time()
    graph = chain(length)
    assert len(graph) == length + 2
    return time.process_time() - began


def bytes_of(length: int) -> int:
    gc.collect()
    tracemalloc.start()
    graph = chain(length)
    assert len(graph) == length + 2
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


def test_time_grows_in_proportion() -> None:
    seconds(1000)
    short = min(seconds(5_000) for _ in range(2))
    assert min(seconds(20_000) for _ in range(2)) < 2 * 4 * short


def test_memory_grows_in_proportion() -> None:
    bytes_of(100)
    assert bytes_of(4_000) < 1.5 * 4 * bytes_of(1_000)


LONG_CHAIN = """
import gc, sys, torch, gradtrace

def chain(length):
    start = torch.ones(4, requires_grad=True)
    with gradtrace.trace() as graph:
        x = start
        for _ in range(length):
            x = x * 1.00001
        x.sum().backward()
    return graph

limit = sys.getrecursionlimit()
graph = chain(100_000)
assert len(graph) == 100_002 and "mul_100000" in graph, len(graph)
assert graph.number_of_edges() == 100_001
assert abs(graph.nodes["start"]["upstream_gradient"].max / 1.00001**100_000 - 1) < 0.02
check = graph.check()
assert not check.failed and len(check.passed) >= 100_000, repr(check)
assert sys.getrecursionlimit() == limit
del graph, check
gc.collect()
print("done")
"""


@pytest.mark.slow
def test_a_chain_of_100_000_calls() -> None:
    """A crash of the interpreter cannot be caught: the chain runs in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", LONG_CHAIN], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr[-2000:]


def test_a_deep_chain_is_let_go_without_recursion() -> None:
    graph = chain(10_000)
    gc.collect()
    assert len(graph) == 10_002
    del graph
    gc.collect()


def test_a_wide_fan_grows_in_proportion() -> None:
    def fan(width: int) -> float:
        x = torch.ones(4, requires_grad=True)
        gc.collect()
        gc.disable()  # its time grows with what other tests left behind
        try:
            began = time.process_time()
            with gradtrace.trace() as graph:
                total = torch.stack([x * 2 for _ in range(width)]).sum()
                total.backward()
            assert len(graph) == width + 3
            return time.process_time() - began
        finally:
            gc.enable()

    fan(100)
    short, long = min(fan(1_000) for _ in range(2)), min(fan(4_000) for _ in range(2))
    assert long < 2.5 * 4 * short
