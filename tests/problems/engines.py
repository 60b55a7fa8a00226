"""Runs a problem in either engine."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch

import gradtrace
import gradtrace_numpy
from tests.problems.problem import Problem, draws
from tests.problems.spelling import NUMPY, TORCH

__all__ = ["Run", "run_numpy", "run_torch"]


class Run(NamedTuple):
    """What came of a problem in one engine."""

    graph: gradtrace.Graph
    outputs: list[Any]
    gradients: list[Any]
    """Of each leaf among the inputs, in order."""


def run_numpy(problem: Problem, **options: Any) -> Run:
    inputs = [
        gradtrace_numpy.array(array) if draws(array) == "leaf" else np.asarray(array)
        for array in problem.draw()
    ]
    with _trace("numpy", options) as graph:
        outputs = _listed(problem.program(NUMPY, *inputs))
        for output, seed in zip(outputs, _seeds(outputs), strict=True):
            output.backward(seed, keep_graph=True)
    leaves = [each for each in inputs if isinstance(each, gradtrace_numpy.Array)]
    return Run(graph, [output.data for output in outputs], [leaf.grad for leaf in leaves])


def run_torch(problem: Problem, **options: Any) -> Run:
    inputs = [
        torch.tensor(np.asarray(array), requires_grad=draws(array) == "leaf")
        for array in problem.draw()
    ]
    with _trace("torch", options) as graph:
        outputs = _listed(problem.program(TORCH, *inputs))
        for output, seed in zip(outputs, _seeds(outputs), strict=True):
            output.backward(torch.tensor(seed), retain_graph=True)
    leaves = [each for each in inputs if each.requires_grad]
    return Run(
        graph,
        [output.detach().numpy() for output in outputs],
        [leaf.grad.numpy() for leaf in leaves],
    )


def _trace(backend: str, options: dict[str, Any]) -> Any:
    return gradtrace.trace(
        backend=backend, **{"keep": "all", "derivatives": "exact", "limit": 2**22, **options}
    )


def _listed(output: Any) -> list[Any]:
    return list(output) if isinstance(output, tuple) else [output]


def _seeds(outputs: list[Any]) -> list[Any]:
    """Return a seed for each output, the same in both engines, and 1 for a loss."""
    rng = np.random.default_rng(0)
    return [
        rng.normal(size=tuple(output.shape)) if output.ndim else np.ones(()) for output in outputs
    ]
