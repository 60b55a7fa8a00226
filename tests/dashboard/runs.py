"""Recordings and graphs for the dashboard to show."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gradtrace.derivative import LocalDerivative
from gradtrace.graph import Graph
from gradtrace.recording.reader import Recording
from gradtrace.recording.sample import Series, Step
from gradtrace.recording.writer import Writer
from gradtrace.summary import Summary
from gradtrace.tape import Call, Leaf, Tape, Use, Value
from tests.recording.runs import histogram, recorded, statistics, training

__all__ = ["NASTY", "odd_run", "run", "small_graph", "spread_run"]

NASTY = '<img src=x onerror="window.hurt=1">&"\'*_`$x$'
"""A name as a foreign file may hold it."""


def run(folder: Path, *, steps: int = 60, seed: int = 0, name: str = "weight") -> Recording:
    """Return a healthy run with two traced steps."""
    made = recorded(folder, training(steps, seed=seed))
    writer = Writer(folder)
    for step in (0, steps // 2):
        writer.snapshot(step, small_graph(scale=1.0 + step, name=name))
    writer.close()
    return made


def odd_run(folder: Path, *, name: str = "c") -> Recording:
    """Return a run whose nodes are a number, 0, NaN, infinite and not computed, in this order."""
    series = tuple(Series(node, "gradient") for node in ("a", "b", name, "d", "e"))
    steps = []
    for index in range(40):
        rows = np.array([statistics(each) for each in ([3.0, 4.0], [0.0, 0.0], [np.nan, 1.0])])
        infinite = statistics([1.0, 1.0])
        infinite[2] = np.inf
        rows = np.concatenate([rows, [infinite], [[np.nan] * len(infinite)]])
        steps.append(Step(index, 1000.0 + index, {"loss": 1.0 / (1 + index)}, series, rows))
    return recorded(folder, steps)


def spread_run(folder: Path) -> Recording:
    """Return a run of one step, with the histograms of two quantities of a node."""
    series = (Series("a", "gradient"), Series("a", "value"), Series("b", "value"))
    rows = np.array([statistics(each) for each in ([0.5, 2.0], [1.0, 4.0], [3.0])])
    counts = {0: histogram([0.5, 2.0]), 1: histogram([1.0, 4.0])}
    return recorded(folder, [Step(0, 1.0, {"loss": 1.0}, series, rows, counts)])


def small_graph(*, scale: float = 1.0, name: str = "weight", scope: str = "head") -> Graph:
    """Return the graph of L = Σ w·x for x = (1, 2), whose gradient at w is x, times `scale`."""
    x = np.array([1.0, 2.0]) * scale
    weight = Value(Summary.of([3.0, 4.0], keep=True), Summary.of(x, keep=True), differentiable=True)
    given = Value(Summary.of(x, keep=True))
    ones = Summary.of([1.0, 1.0], keep=True)
    product = Value(Summary.of(x * [3.0, 4.0], keep=True), ones, differentiable=True)
    seed = Summary.of(1.0, keep=True)
    loss = Value(Summary.of((x * [3.0, 4.0]).sum(), keep=True), seed, seed, differentiable=True)
    slope = LocalDerivative(
        "diagonal", (2,), (2,), array=x, norm=float(np.linalg.norm(x)), rule=("mul", "input")
    )
    row = LocalDerivative("dense", (), (2,), array=np.ones(2), norm=2**0.5, gain=2**0.5)
    calls = [
        Leaf("parameter", (name,), weight),
        Leaf("input", ("x",), given),
        Call(
            "mul",
            [product],
            [Use("input", weight, slope, Summary.of(x, keep=True)), Use("other", given)],
            scope=scope,
        ),
        Call("sum", [loss], [Use("input", product, row, ones)]),
    ]
    return Graph.from_tape(Tape(calls, "toy", gradients=True))
