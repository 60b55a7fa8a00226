"""Find where gradients vanish or explode over depth."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import networkx as nx

from gradtrace.analysis.diagnose.findings import Finding, Report
from gradtrace.analysis.diagnose.thresholds import Thresholds
from gradtrace.analysis.diagnose.trunk import Step, Trunk, size_of
from gradtrace.analysis.flow import shown

__all__ = ["find_exploding", "find_vanishing"]

NAMED = 3
"""Edges that a finding names."""

SHRINKS = 0.9
"""Gain below which a call shrinks the gradient, for counting such calls."""

GROWS = 1 / SHRINKS

SELECTIVE = ("softmax", "_softmax", "log_softmax", "scaled_dot_product_attention")
"""Operations that pass little back where they have decided, and do so in healthy networks."""


def find_vanishing(graph: nx.MultiDiGraph[str], thresholds: Thresholds) -> Iterator[Report]:
    """Report where the gradient has become small beside that at the output side."""
    trunk = Trunk(graph)
    if not trunk.reference:
        return
    limit = thresholds.vanishing * trunk.reference
    deep = _below(trunk)
    told: set[tuple[str, str, int]] = set()
    worst = _all_lost(trunk, deep, limit, thresholds)
    branches = [] if worst else _lost_branches(trunk, deep, limit, thresholds.slope_calls)
    for node in [worst] if worst else branches:
        steps = trunk.route(node)
        lowest = sorted(steps, key=lambda step: step.gain)[:NAMED]
        told |= {step.edge for step in lowest}
        what = "everything further down" if worst else "this branch"
        yield _slope(trunk, node, steps, lowest, "vanishing", f"gradient that reaches {what}")
    for step in _steep_edges(trunk, limit, thresholds.vanishing_edge):
        if step.edge not in told and not worst:
            yield _steep(graph, step)


def find_exploding(graph: nx.MultiDiGraph[str], thresholds: Thresholds) -> Iterator[Report]:
    """Report where the gradient has become large beside that at the output side."""
    trunk = Trunk(graph)
    if not trunk.reference:
        return
    limit = thresholds.exploding * trunk.reference
    deep = _below(trunk)
    grown = [node for node in _deepest(trunk, deep) if (trunk.norms[node] or 0.0) > limit]
    grown = grown or [
        node
        for node in deep
        if (trunk.norms[node] or 0.0) > limit
        and sum(step.gain > GROWS for step in trunk.route(node)) >= thresholds.slope_calls
    ]
    if not grown:
        return
    node = max(grown, key=lambda node: trunk.norms[node] or 0.0)
    steps = trunk.route(node)
    highest = sorted(steps, key=lambda step: -step.gain)[:NAMED]
    if highest:
        yield _slope(trunk, node, steps, highest, "exploding", "gradient here")


def _below(trunk: Trunk) -> list[str]:
    """Return the activations below the output side that have a gradient, deepest last."""
    tops = set(trunk.tops)
    wide = all(size_of(trunk.graph, node) > 1 for node in tops)
    fallback = not trunk.parametric & tops
    found = [
        node
        for node in trunk.activations
        if trunk.norms[node]
        and node not in tops
        and (node in trunk.below or fallback)
        and (size_of(trunk.graph, node) > 1 or not wide)
    ]
    return sorted(found, key=lambda node: trunk.depth[node])


def _deepest(trunk: Trunk, deep: Sequence[str]) -> list[str]:
    """Return the nodes furthest from the output; a trunk leads to them past all branches."""
    return [node for node in deep if trunk.depth[node] == trunk.depth[deep[-1]]]


def _all_lost(
    trunk: Trunk, deep: Sequence[str], limit: float, thresholds: Thresholds
) -> str | None:
    """Return the deepest node, if the gradient falls below `limit` by many calls or a steep one."""
    level = _deepest(trunk, deep)
    if not level or any((trunk.norms[node] or 0.0) >= limit for node in level):
        return None
    node = min(level, key=lambda node: trunk.norms[node] or 0.0)
    gains = [step.gain for step in trunk.route(node)]
    many = sum(gain < SHRINKS for gain in gains) >= thresholds.slope_calls
    return node if many or min(gains, default=1.0) < thresholds.vanishing else None


def _lost_branches(trunk: Trunk, deep: Sequence[str], limit: float, calls: int) -> list[str]:
    """Return the ends of branches along which many calls, one after the other, shrink."""
    lost: set[str] = set()
    for node in deep:
        if (trunk.norms[node] or 0.0) < limit:
            shrinking = 0
            for step in trunk.route(node):
                above = trunk.norms[step.edge[1]] or 0.0
                shrinking = 0 if above >= trunk.reference else shrinking + (step.gain < SHRINKS)
            if shrinking >= calls:
                lost.add(node)
    return [
        node for node in deep if node in lost and not lost & set(trunk.graph.predecessors(node))
    ]


def _steep_edges(trunk: Trunk, limit: float, steepest: float) -> Iterator[Step]:
    """Yield single edges that let next to nothing of a healthy gradient through."""
    for operand, result, key, data in trunk.graph.edges(keys=True, data=True):
        gain = getattr(data.get("local_derivative"), "gain", None)
        if gain is None or not 0 < gain < steepest or result not in trunk.below:
            continue
        op = str(trunk.graph.nodes[result].get("op"))
        healthy = (trunk.norms[result] or 0.0) >= limit
        learned = operand in trunk.activations and result in trunk.parametric
        if healthy and not learned and operand in trunk.activations and op not in SELECTIVE:
            yield Step((operand, result, key), gain, op)


def _slope(
    trunk: Trunk, node: str, steps: Sequence[Step], named: Sequence[Step], rule: str, what: str
) -> Finding:
    ratio = (trunk.norms[node] or 0.0) / trunk.reference
    calls = max(len(steps), 1)
    slope = ratio ** (1 / calls)
    edges = ", ".join(f"{step.edge[1]} ← {step.edge[0]} (× {shown(step.gain)})" for step in named)
    most = "shrink" if rule == "vanishing" else "grow"
    top = max(trunk.tops, key=lambda top: trunk.norms[top] or 0.0)
    cause = (
        f"the {what} is {shown(ratio)} of that at the output side, {top}: "
        f"× {shown(slope)} a call over {calls} call{'s' * (calls > 1)}; "
        f"the edges that {most} it most: {edges}"
    )
    numbers: dict[str, Any] = {
        "ratio": ratio,
        "slope": slope,
        "log10_slope": math.log10(slope) if slope else -math.inf,
        "calls": calls,
        "upstream": trunk.norms[node],
        "output_side": trunk.reference,
        "gains": {f"{step.edge[0]} → {step.edge[1]}": step.gain for step in named},
    }
    source = trunk.graph.nodes[node].get("source")
    return Finding(rule, "warning", node, named[0].edge, numbers, cause, REMEDIES[rule], source)


REMEDIES = {
    "vanishing": "let gradients pass by a skip connection, normalize, initialize with larger "
    "weights, or use an activation that does not saturate",
    "exploding": "normalize, initialize with smaller weights, or clip the gradient; "
    "look at the edges named first",
}


def _steep(graph: nx.MultiDiGraph[str], step: Step) -> Finding:
    operand, result, _ = step.edge
    cause = f"only {shown(step.gain)} of its gradient is passed back to {operand}"
    remedy = "rescale it, or make the factor a parameter that can grow"
    numbers = {"gain": step.gain}
    source = graph.nodes[result].get("source")
    return Finding("vanishing", "warning", result, step.edge, numbers, cause, remedy, source)
