"""What each path carries: pullbacks multiplied along it, and how much of the whole that is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import networkx as nx
import numpy as np
import numpy.typing as npt

from gradtrace.analysis.agreement import elements_of
from gradtrace.analysis.explain.ways import Step, Ways
from gradtrace.analysis.parts import differentiable_parts, joined
from gradtrace.derivative import LocalDerivative
from gradtrace.render.numbers import single
from gradtrace.summary import Summary

__all__ = ["Amounts", "gradient_at", "number_of", "seed_at", "slope"]

Array = npt.NDArray[Any]

WORK = 3 * 10**8
"""Multiplications up to which paths are followed to learn which of them carry most."""

PULLBACK = 2000
"""Multiplications that take as long as it takes to begin one pullback."""


class Amounts:
    """Pullbacks along paths, each stretch that several paths share computed once."""

    def __init__(self, graph: nx.MultiDiGraph[str], ways: Ways) -> None:
        self._graph = graph
        self._known: dict[tuple[int, int], tuple[int, Array | None]] = {}
        self._seeds = {output: _elements(seed_at(graph, output)) for output in ways.outputs}
        self.exact = all(seed is not None for seed in self._seeds.values()) and all(
            _is_exact(step) for steps in ways.steps.values() for step in steps
        )
        self.work = sum(_cost(step) for steps in ways.steps.values() for step in steps)

    def along(self, path: Sequence[Step]) -> Array | None:
        """Return what comes to the target along `path`, None where a factor is not known."""
        number, gradient = 0, self._seeds[path[0].result]
        for step in path:
            place = number, id(step.data)
            if place not in self._known:
                self._known[place] = len(self._known) + 1, pull_back(step, gradient)
            number, gradient = self._known[place]
        return gradient

    def total(self, ways: Ways) -> Array | None:
        """Return the sum over all paths, by one pullback an edge."""
        found: dict[str, Array | None] = dict(self._seeds)
        for node in reversed(ways.order):
            terms = [pull_back(step, found[step.result]) for step in ways.steps[node]]
            if node in self._seeds:
                terms.append(self._seeds[node])
            known = [term for term in terms if term is not None]
            if len(known) < len(terms):
                return None
            shape = known[0].shape
            found[node] = np.sum([term.reshape(shape) for term in known], axis=0)
        return found[ways.target]


def pull_back(step: Step, gradient: Array | None) -> Array | None:
    """Return what `step` passes back of `gradient`, None where that is not known."""
    if gradient is None or not _is_exact(step):
        return None
    derivative: LocalDerivative = step.data["local_derivative"]
    with np.errstate(all="ignore"):
        if not derivative.exact:
            number = slope(step)
            assert number is not None
            return gradient.reshape(derivative.operand_shape) * number
        return derivative.pullback(gradient.reshape(derivative.result_shape))


def slope(step: Step) -> float | None:
    """Return the local derivative of a number by a number, None where it is not known."""
    derivative: LocalDerivative = step.data["local_derivative"]
    if math.prod(derivative.result_shape) != 1 or math.prod(derivative.operand_shape) != 1:
        return None
    if derivative.exact:
        number = derivative.dense().reshape(-1)[0]
        return None if np.iscomplexobj(number) else float(number)
    before, after = number_of(step.upstream), number_of(step.data["downstream_gradient"])
    return after / before if before and after is not None else None


def gradient_at(graph: nx.MultiDiGraph[str], node: str) -> Summary | None:
    """Return the upstream gradient of a node; that of several results taken as one."""
    data = graph.nodes[node]
    upstream = data["upstream_gradient"]
    if not isinstance(upstream, tuple):
        return upstream  # type: ignore[no-any-return]
    parts = differentiable_parts(graph, node)
    arrived = [upstream[part] for part in parts]
    if all(gradient is None for gradient in arrived):
        return None
    return joined([data["value"][part] for part in parts], arrived)


def seed_at(graph: nx.MultiDiGraph[str], output: str) -> Summary | None:
    """Return the gradient that an explanation begins with.

    It is the seed of a backward pass; 1 at a number from which none began; else the upstream
    gradient that came there.
    """
    data = graph.nodes[output]
    if data["seed"] is not None:
        return data["seed"]  # type: ignore[no-any-return]
    value = data["value"]
    if isinstance(value, Summary) and value.size == 1:
        return Summary.of(np.ones(value.shape), keep=True)
    return gradient_at(graph, output)


def number_of(summary: object) -> float | None:
    """Return the number that a tensor of one element holds, if it is known and real."""
    if not isinstance(summary, Summary):
        return None
    number = single(summary)
    return None if isinstance(number, complex) else number


def _is_exact(step: Step) -> bool:
    derivative: LocalDerivative = step.data["local_derivative"]
    if derivative.exact:
        return derivative.array is None or not np.iscomplexobj(derivative.array)
    return slope(step) is not None


def _cost(step: Step) -> int:
    derivative: LocalDerivative = step.data["local_derivative"]
    return PULLBACK + (derivative.array.size if derivative.array is not None else 0)


def _elements(summary: Summary | None) -> Array | None:
    if summary is None or summary.dtype.startswith("complex"):
        return None
    elements = elements_of(summary)
    return None if elements is None else np.asarray(elements, np.float64)
