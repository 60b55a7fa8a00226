"""Find units of ReLUs that are never positive, and so pass nothing back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import networkx as nx
import numpy as np

from gradtrace.analysis.agreement import Array
from gradtrace.analysis.diagnose.findings import Finding, Report, Undetermined
from gradtrace.analysis.diagnose.thresholds import Thresholds
from gradtrace.analysis.diagnose.trunk import trunk_of
from gradtrace.summary import Summary

__all__ = ["find_dead_units"]

RELUS = ("relu", "relu_", "relu6", "threshold", "threshold_", "clamp_min", "clamp_min_")

LIKE_RELU = (
    *("clamp", "clamp_", "clip", "clip_", "hardtanh", "hardtanh_", "maximum", "fmax", "max"),
    *("where",),
)
"""Operations that are a ReLU where they make 0 of all that is not positive."""

CHANNELS_FIRST = ("conv", "batch_norm", "instance_norm", "group_norm")
"""How operations begin whose results have their units along the second axis."""

ELEMENTWISE = ("add", "iadd", "mul", "div", "sub", "dropout", "item", "max_pool", "avg_pool")

REMEDY = (
    "lower the learning rate, check what shifts the pre-activation (a bias, the scale of the "
    "input), or use a leaky ReLU"
)


def find_dead_units(graph: nx.MultiDiGraph[str], thresholds: Thresholds) -> Iterator[Report]:
    """Report ReLUs of which units are dead: their pre-activations lie far below 0."""
    relus = [(node, before) for node in graph if (before := _rectified(graph, node)) is not None]
    if not relus:
        return
    trunk = trunk_of(graph)
    for node, before in relus:
        if node not in trunk.below and before not in trunk.parametric:
            continue  # a hinge in the loss is 0 where there is nothing to learn
        value = graph.nodes[before].get("value")
        if isinstance(value, Summary) and value.shape:
            yield from _judge(graph, before, node, value, thresholds)


def _rectified(graph: nx.MultiDiGraph[str], node: str) -> str | None:
    """Return the operand whose positive part `node` is."""
    op = graph.nodes[node].get("op")
    operands = list(dict.fromkeys(graph.predecessors(node)))
    if op in RELUS:
        return next(iter(operands), None)
    if op not in LIKE_RELU:
        return None
    after = graph.nodes[node].get("value")
    values = ((operand, graph.nodes[operand].get("value")) for operand in operands)
    return next((operand for operand, before in values if _is_positive_part(before, after)), None)


def _is_positive_part(before: object, after: object) -> bool:
    """Tell whether a value is 0 where the other is not positive, as far as that was kept."""
    if not isinstance(before, Summary) or not isinstance(after, Summary):
        return False
    if before.shape != after.shape or after.min != 0 or before.min is None or before.min >= 0:
        return False
    if before.array is None or after.array is None:
        return True
    return not after.array[np.less_equal(before.array, 0)].any()


def _judge(
    graph: nx.MultiDiGraph[str], before: str, node: str, value: Summary, thresholds: Thresholds
) -> Iterator[Report]:
    if value.max is not None and value.max <= 0 and value.size >= thresholds.dead_samples:
        yield _finding(graph, before, node, {"dead": "all units", "share": 1.0}, "warning")
        return
    if value.array is None:
        reason = "values are kept as summaries, which do not tell units; trace with keep='all'"
        yield Undetermined("dead_relu", reason, (node,))
        return
    if value.array.ndim < 2:
        return
    samples = _samples(value.array, _unit_axis(graph, before, value.array.ndim))
    if len(samples) < thresholds.dead_samples:
        reason = f"fewer than {thresholds.dead_samples} samples of each unit"
        yield Undetermined("dead_relu", reason, (node,))
        return
    dead = _dead(samples, thresholds.dead_deviations)
    share = float(dead.mean())
    if share:
        units = np.flatnonzero(dead)
        numbers = {
            "dead": int(dead.sum()),
            "of": len(dead),
            "share": share,
            "units": units[:16].tolist(),
            "samples": len(samples),
            "largest_pre_activation": float(samples[:, dead].max()),
        }
        yield _finding(
            graph, before, node, numbers, "warning" if share >= thresholds.dead else "note"
        )


def _samples(array: Array, axis: int) -> Array:
    """Return the values with a row for each sample and a column for each unit."""
    return np.moveaxis(array, axis, -1).reshape(-1, array.shape[axis]).astype(np.float64)


def _dead(samples: Array, deviations: float) -> Array:
    """Tell which units are never positive here, and far from it.

    Far is meant beside the unit's own deviation, and beside the size of the units that live.
    """
    never: Array = samples.max(0) <= 0
    if not never.any():
        return never
    with np.errstate(all="ignore"):
        live = samples[:, ~never]
        size = float(np.sqrt(np.mean(live**2))) if live.size else 0.0
        far = -samples.mean(0) > deviations * np.maximum(samples.std(0), size)
    dead: Array = never & far
    return dead


def _unit_axis(graph: nx.MultiDiGraph[str], node: str, axes: int) -> int:
    """Return the axis along which the units lie: the last, or the second of images."""
    seen = 0
    while seen < len(ELEMENTWISE):
        op = str(graph.nodes[node].get("op") or "")
        if op.startswith(CHANNELS_FIRST):
            return 1
        if not op.startswith(ELEMENTWISE):
            break
        node = next(iter(graph.predecessors(node)), node)
        seen += 1
    return 1 if axes == 4 else axes - 1


def _finding(
    graph: nx.MultiDiGraph[str], before: str, node: str, numbers: dict[str, Any], severity: str
) -> Finding:
    dead, of = numbers["dead"], numbers.get("of")
    what = "all units are" if of is None else f"{dead} of {of} units {'is' if dead == 1 else 'are'}"
    how = "not above 0" if of is None else "far below 0"
    cause = f"{what} {how} for every sample: dead, nothing comes back through it"
    edge = (before, node, next(iter(graph[before][node])))
    source = graph.nodes[node].get("source")
    return Finding("dead_relu", severity, node, edge, numbers, cause, REMEDY, source)
