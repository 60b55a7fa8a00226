"""One small network, with what tests read from it and do to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import networkx as nx
import numpy as np

from gradtrace.analysis.check import check
from gradtrace.summary import Summary
from tests.tapes import Run

__all__ = ["edge", "network", "resummarized", "verdicts", "without_arrays"]


def network(**options: Any) -> nx.MultiDiGraph[str]:
    """loss = sum(tanh(x @ w) + w / 2 · w), with w used three times; free to be changed."""
    rng = np.random.default_rng(0)
    run = Run(**options)
    x = run.leaf("x", rng.normal(size=(3, 3)), kind="input")
    w = run.leaf("w", rng.normal(size=(3, 3)))
    hidden = run.call("tanh", run.call("matmul", x, w))
    penalty = run.call("mul", run.call("halve", w), w)
    run.backward(run.call("sum", run.call("add", hidden, penalty)))
    return nx.MultiDiGraph(run.graph())


def verdicts(graph: nx.MultiDiGraph[str]) -> dict[str, str]:
    return {verdict.node: verdict.verdict for verdict in check(graph)}


def edge(graph: nx.MultiDiGraph[str], operand: str, result: str) -> dict[str, Any]:
    return next(data for u, v, data in graph.edges(data=True) if (u, v) == (operand, result))


def resummarized(summary: Summary, change: Callable[[Any], Any]) -> Summary:
    assert summary.array is not None
    return Summary.of(change(summary.array.copy()), keep=True)


def without_arrays(graph: nx.MultiDiGraph[str]) -> nx.MultiDiGraph[str]:
    everything = [data for _, data in graph.nodes(data=True)]
    everything += [data for _, _, data in graph.edges(data=True)]
    for data in everything:
        for name in ("value", "upstream_gradient", "downstream_gradient", "seed"):
            if isinstance(data.get(name), Summary):
                data[name] = replace(data[name], array=None)
    return graph
