"""Difference each call's own function, which knows nothing of its backward."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import networkx as nx
import numpy as np

from gradtrace.analysis.agreement import Array, Outcome, Tolerance, is_complex, tolerance_of
from gradtrace.analysis.parts import differentiable_parts, joined
from gradtrace.derivative import LocalDerivative
from gradtrace.summary import Summary
from gradtrace.tape import Replay

__all__ = ["judge_differences"]

EPS = float(np.finfo(np.float64).eps)

STEPS = (6e-6, 6e-7, 6e-8, 6e-9)
"""Relative steps of a central difference. The first is the cube root of the float64 precision, at
which truncation and rounding are equally small (Press et al., Numerical Recipes, 5.7); the finer
ones do not reach the kinks that lie near."""

ACCURACY = 1e-6
"""Relative accuracy to which such differences are trusted."""

LARGEST = 1e12
"""Elements beyond it, such as those of a mask, are not moved: float64 has no small step there."""

FULL = 64
"""Elements up to which an operand is differenced one by one; a larger one along random steps."""

WORK = 2**19
"""Elements of results that may be computed to difference an operand one by one."""

DIRECTIONS = 8
"""Random directions along which a larger operand is differenced."""

FEW = 4
"""Random directions where the call is so large that more would take long."""


class _Edge(NamedTuple):
    key: int
    operand: str
    derivative: LocalDerivative
    downstream: Summary | None


@dataclass(frozen=True)
class _Point:
    """A call's function at the recorded operands."""

    replay: Replay
    operands: list[Array]
    parts: Sequence[int]
    """Numbers of the results that a gradient can come back to."""

    @cached_property
    def middle(self) -> Array:
        """What comes of the operands as they were recorded."""
        return self.results(self.operands)

    @cached_property
    def precision(self) -> float:
        """The relative precision of the results: that of float64, unless the call casts."""
        found = self.replay(self.operands)
        kinds = [np.asarray(found[part]).dtype for part in self.parts]
        return max((float(np.finfo(kind).eps) for kind in kinds if kind.kind == "f"), default=EPS)

    def results(self, operands: Sequence[Array]) -> Array:
        found = self.replay(operands)
        return np.concatenate([np.asarray(found[part], float).ravel() for part in self.parts])

    def moved(self, index: int, direction: Array, step: float) -> Array:
        operands = list(self.operands)
        operands[index] = operands[index] + step * direction
        return self.results(operands)


def judge_differences(
    graph: nx.MultiDiGraph[str], node: str, replay: Replay | str
) -> Iterator[Outcome]:
    """Yield, for each operand of the call at `node`, whether differences agree with its backward.

    `replay` runs its function again on arrays, in float64; a text says why that cannot be done.
    """
    edges = [
        _Edge(key, str(data["operand"]), data["local_derivative"], data["downstream_gradient"])
        for _, _, key, data in graph.in_edges(node, keys=True, data=True)
        if data["local_derivative"] is not None
    ]
    if not edges:
        return
    if isinstance(replay, str):
        yield Outcome("unverifiable", f"its function cannot be run again: {replay}")
        return
    point = _point(graph, node, replay)
    if isinstance(point, str):
        yield Outcome("unverifiable", point)
        return
    upstream = _upstream(graph, node, point.parts)
    with np.errstate(all="ignore"):
        for edge in edges:
            yield _judge(point, edge, upstream, _tolerance(graph, node, edge))


def _point(graph: nx.MultiDiGraph[str], node: str, replay: Replay) -> _Point | str:
    """Return the recorded point, or why there is none at which differences mean something."""
    uses = sorted(graph.in_edges(node, keys=True), key=lambda edge: edge[2])
    values = [graph.nodes[operand]["value"] for operand, _, _ in uses]
    arrays = [None if isinstance(value, tuple) else value.array for value in values]
    operands = [_widened(array) for array in arrays if array is not None]
    if len(operands) < len(arrays):
        return "its operands were not kept; trace with keep='all'"
    results = graph.nodes[node]["value"]
    several = isinstance(results, tuple)
    parts = differentiable_parts(graph, node) if several else [0]
    recorded = [results[part] for part in parts] if several else [results]
    if any(is_complex(summary) for summary in (*values, *recorded)):
        return "its numbers are complex, which are not differenced"
    point = _Point(replay, operands, parts)
    try:
        again = point.middle
    except Exception as error:  # whatever the user's function raises on other numbers than its own
        return f"running its function again raised {type(error).__name__}: {error}"
    kept = [summary.array for summary in recorded if summary.array is not None]
    if len(kept) < len(recorded):
        return "its results were not kept; trace with keep='all'"
    before = np.concatenate([_widened(array).ravel() for array in kept])
    tolerance = tolerance_of(*recorded)
    scale = float(np.abs(before).max(initial=0.0))
    if not np.isfinite(before).all():
        return "its results are not finite, so that differences say nothing"
    if before.shape != again.shape or not np.allclose(
        before, again, rtol=0, atol=tolerance.relative * scale + tolerance.floor
    ):
        return "its function gives other numbers when it is run again"
    return point


def _widened(array: Array) -> Array:
    return array.astype(np.float64) if array.dtype.kind == "f" else array


def _upstream(graph: nx.MultiDiGraph[str], node: str, parts: Sequence[int]) -> Array | None:
    data = graph.nodes[node]
    gradient: Any = data["upstream_gradient"]
    if isinstance(gradient, tuple):
        known = [gradient[part] for part in parts]
        if all(each is None for each in known):
            return None
        gradient = joined([data["value"][part] for part in parts], known)
    if gradient is None or gradient.array is None or not np.isfinite(gradient.array).all():
        return None
    return _widened(gradient.array).ravel()


def _tolerance(graph: nx.MultiDiGraph[str], node: str, edge: _Edge) -> Tolerance:
    """Return the tolerance of the coarsest numbers that the call and its backward had."""
    value = graph.nodes[node]["value"]
    summaries = [each for each in (value if isinstance(value, tuple) else [value]) if each]
    summaries += [edge.downstream] if edge.downstream else []
    return tolerance_of(*summaries)


def _judge(point: _Point, edge: _Edge, upstream: Array | None, tolerance: Tolerance) -> Outcome:
    """Judge one operand, by the recorded gradients or by its Jacobian on a random upstream."""
    down = edge.downstream
    if upstream is not None and upstream.any() and down is not None and down.array is not None:
        expected = _widened(down.array).ravel()
    elif edge.derivative.exact:
        generator = np.random.default_rng(0)
        upstream = generator.standard_normal(math.prod(edge.derivative.result_shape))
        pulled = edge.derivative.pullback(upstream.reshape(edge.derivative.result_shape))
        expected = np.asarray(pulled, np.float64).ravel()
    else:
        return Outcome("unverifiable", f"no gradient came back through {edge.operand} to compare")
    if not np.isfinite(expected).all():
        return Outcome("unverifiable", f"what came back through {edge.operand} is not finite")
    outcomes = [Outcome("pass", error=0.0)] + [
        _along(point, edge, upstream, direction, expected, tolerance)
        for direction in _directions(point.operands[edge.key], point.middle.size)
    ]
    order = ("fail", "unverifiable", "pass")
    return min(outcomes, key=lambda each: (order.index(each.verdict), -(each.error or 0.0)))


def _directions(operand: Array, results: int) -> Iterator[Array]:
    """Yield what the operand is moved along, each element in proportion to its own magnitude.

    Elements that are 0 stay so along every other random direction: there ReLUs have their kink,
    which must not hide what is wrong elsewhere.
    """
    movable = np.abs(operand) < LARGEST
    sizes = np.where(movable, np.abs(operand), 0.0)
    typical = float(np.quantile(sizes[sizes > 0], 0.1)) if sizes.any() else 1.0
    scales = np.where(sizes > 0, np.maximum(sizes, 1e-3 * typical), np.where(movable, typical, 0.0))
    if operand.size <= FULL and operand.size * results <= WORK:
        for index in map(tuple, np.argwhere(movable)):
            direction = np.zeros(operand.shape)
            direction[index] = scales[index]
            yield direction
        return
    generator = np.random.default_rng(0)
    for number in range(DIRECTIONS if DIRECTIONS * results <= WORK else FEW):
        steps = sizes if number % 2 and sizes.any() else scales
        yield steps * generator.choice([-1.0, 1.0], operand.shape)


class _Slope(NamedTuple):
    """How the results change along a direction, weighed by the upstream gradient."""

    found: float
    bend: float
    """How much the slopes ahead and behind differ, in all."""
    rounding: float


def _slope(
    point: _Point, key: int, upstream: Array, direction: Array, step: float, noise: float
) -> _Slope:
    ahead = point.moved(key, direction, step)
    behind = point.moved(key, direction, -step)
    moved = np.where(ahead != behind, np.abs(ahead) + np.abs(behind), 0.0)
    change = ahead - behind
    rounding = 4 * point.precision * moved
    bend = np.maximum(np.abs(ahead - 2 * point.middle + behind) - rounding, 0.0)
    weights = np.abs(upstream)
    return _Slope(
        float((upstream * change).sum()) / (2 * step),
        float((weights * bend).sum()) / step,
        float((weights * (rounding + noise * np.abs(change))).sum()) / step,
    )


def _along(
    point: _Point,
    edge: _Edge,
    upstream: Array,
    direction: Array,
    expected: Array,
    tolerance: Tolerance,
) -> Outcome:
    """Compare the derivative along one direction with what the backward says of it.

    A gap that a finer step closes was a kink that the step went across. One that no step closes
    is a wrong backward, unless the slopes ahead and behind differ however fine the step.
    """
    shares = expected * direction.ravel()
    wanted, length = float(shares.sum()), math.sqrt(float(np.square(shares).sum()))
    rest = float(np.abs(expected).max(initial=0.0)) * float(np.abs(direction).max(initial=0.0))
    kink = Outcome("unverifiable", f"its function has a kink or a jump at this {edge.operand}")
    coarser = (point.precision / EPS) ** (1 / 3)

    def at(step: float) -> _Slope:
        return _slope(point, edge.key, upstream, direction, coarser * step, tolerance.noise)

    slope, error, gap = _Slope(0.0, 0.0, 0.0), 0.0, math.inf
    for step in STEPS:
        finer = at(step)
        if not math.isfinite(finer.found):
            return Outcome("unverifiable", f"its function is not finite about {edge.operand}")
        scale = max(abs(finer.found), length)
        allowed = max(ACCURACY, tolerance.relative) * scale + tolerance.noise * rest
        allowed += finer.rounding
        if allowed > gap / 4:
            break  # so fine a step tells rounding only
        slope, gap = finer, abs(finer.found - wanted)
        error = gap / scale if scale else 0.0
        if gap <= allowed:
            symmetric = slope.bend > scale + allowed and at(step / 10).bend > slope.bend / 2
            return kink if symmetric else Outcome("pass", error=error)
    if slope.bend > gap / 4:
        return kink
    where, unit = _place(direction)
    reason = (
        f"backward gives {wanted / unit:.6g} for {edge.operand}{where}, "
        f"its function {slope.found / unit:.6g}"
    )
    return Outcome("fail", reason, error)


def _place(direction: Array) -> tuple[str, float]:
    """Return the element that is moved, or that there are several, and how far it is moved."""
    if np.count_nonzero(direction) != 1:
        return " along random steps", 1.0
    index = tuple(np.argwhere(direction)[0].tolist())
    return (f"[{', '.join(map(str, index))}]" if index else ""), float(direction[index])
