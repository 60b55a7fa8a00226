"""Find sigmoids, tanhs and softmaxes that lie on their flat ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import networkx as nx

from gradtrace.analysis.agreement import finite
from gradtrace.analysis.diagnose.findings import Finding, Report, Undetermined
from gradtrace.analysis.diagnose.thresholds import Thresholds
from gradtrace.analysis.diagnose.trunk import trunk_of
from gradtrace.summary import Summary

__all__ = ["find_saturated"]

FUSED = ("scaled_dot_product_attention", "multi_head_attention_forward")

SOFTMAXES = ("softmax", "_softmax", "softmin")


def find_saturated(graph: nx.MultiDiGraph[str], thresholds: Thresholds) -> Iterator[Report]:
    """Report calls whose mean slope is a small part of the largest that it can be.

    The mean slope follows from mean and root mean square of the result, which every summary has.
    """
    for node, op in graph.nodes(data="op"):
        if op in FUSED:
            yield Undetermined("saturated", f"the softmax inside {op} is not recorded", (node,))
    calls = [(node, op) for node, op in graph.nodes(data="op") if op in SLOPES]
    trunk = trunk_of(graph) if calls else None
    for node, op in calls:
        value = graph.nodes[node].get("value")
        if trunk is None or not isinstance(value, Summary) or node not in trunk.activations:
            continue
        mean, rms = finite(value.mean), finite(value.rms)
        if mean is None or rms is None:
            yield Undetermined("saturated", "no finite numbers were kept of the value", (node,))
            continue
        slope = SLOPES[op](mean, rms, value)
        if slope is not None and slope < thresholds.saturated:
            yield _finding(graph, node, op, max(slope, 0.0), inside=node in trunk.below)


def _sigmoid(mean: float, rms: float, value: Summary) -> float:
    """E[y(1 − y)] over its largest, 1/4."""
    return 4 * (mean - rms**2)


def _tanh(mean: float, rms: float, value: Summary) -> float:
    """E[1 − y²], whose largest is 1."""
    return 1 - rms**2


def _softmax(mean: float, rms: float, value: Summary) -> float | None:
    """Mean over rows of 1 − Σp²: 0 for rows with a single 1; None for rows of one element.

    Each row sums to 1, so there are mean × size of them.
    """
    rows = mean * value.size
    if rows <= 0 or value.size < 1.5 * rows:
        return None
    return 1 - rms**2 * value.size / rows


SLOPES: dict[str, Callable[[float, float, Summary], float | None]] = {
    "sigmoid": _sigmoid,
    "sigmoid_": _sigmoid,
    "tanh": _tanh,
    "tanh_": _tanh,
    **dict.fromkeys(SOFTMAXES, _softmax),
}


def _finding(
    graph: nx.MultiDiGraph[str], node: str, op: str, slope: float, *, inside: bool
) -> Finding:
    edge = next(iter(graph.in_edges(node, keys=True)), None)
    gain = None if edge is None else getattr(graph.edges[edge]["local_derivative"], "gain", None)
    numbers = {"mean_slope": slope, "gain": gain}
    source = graph.nodes[node].get("source")
    if not inside:
        cause = f"the {op} at the output is saturated, as it is where a model is sure"
        remedy = "if the model is not right as well, give the loss the input of the {op} instead"
        return Finding(
            "saturated", "note", node, edge, numbers, cause, remedy.format(op=op), source
        )
    if op in SOFTMAXES:
        cause = "almost every row of the softmax is a single 1, so next to nothing flows back"
        remedy = "scale its input down (attention divides by √d), or normalize queries and keys"
    else:
        cause = f"almost all of the {op} lies on its flat ends, so next to nothing flows back"
        remedy = "scale its input down: smaller initial weights, or a normalization before it"
    return Finding("saturated", "warning", node, edge, numbers, cause, remedy, source)
