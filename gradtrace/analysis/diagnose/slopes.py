"""Find where gradients vanish or explode over depth."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import networkx as nx

from gradtrace.analysis.diagnose.findings import Finding, Report
from gradtrace.analysis.diagnose.thresholds import Thresholds
from gradtrace.analysis.diagnose.trunk import Step, Trunk, size_of, trunk_of
from gradtrace.analysis.flow import shown

__all__ = ["find_exploding", "find_vanishing"]

NAMED = 3
"""Edges that a finding names."""

SELECTIVE = ("softmax", "_softmax", "log_softmax", "scaled_dot_product_attention")
"""Operations that pass little back where they have decided, and do so in healthy networks."""

JOINS = ("cat", "concat", "concatenate", "stack", "hstack", "vstack", "dstack", "where")
"""Operations that hand each operand its part of the gradient, small or large, as it came."""


def find_vanishing(graph: nx.MultiDiGraph[str], thresholds: Thresholds) -> Iterator[Report]:
    """Report where the gradient has become small beside that at the output side."""
    trunk = trunk_of(graph)
    if not trunk.reference:
        return
    limit = thresholds.vanishing * trunk.reference
    deep = _below(trunk)
    told: set[tuple[str, str, int]] = set()
    worst = _all_lost(trunk, deep, limit, thresholds)
    branches = [] if worst else _lost_branches(trunk, deep, limit, thresholds.branch_calls)
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
    trunk = trunk_of(graph)
    if not trunk.reference:
        return
    limit = thresholds.exploding * trunk.reference
    deep = _below(trunk)
    grown = [node for node in _deepest(trunk, deep) if (trunk.norms[node] or 0.0) > limit]
    if not grown:
        calls = _sharing(trunk, grow=True)
        grown = [
            node
            for node in deep
            if (trunk.norms[node] or 0.0) > limit and calls[node] >= thresholds.slope_calls
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
    many = _sharing(trunk)[node] >= thresholds.slope_calls
    steepest = min((step.gain for step in trunk.route(node)), default=1.0)
    return node if many or steepest < thresholds.vanishing else None


def _lost_branches(trunk: Trunk, deep: Sequence[str], limit: float, calls: float) -> list[str]:
    """Return the ends of branches along which many calls, one after the other, shrink.

    Of those that one line of the program makes, as the steps of a recurrence, it is the worst.
    """
    sharing = _sharing(trunk)
    lost = {node for node in deep if (trunk.norms[node] or 0.0) < limit and sharing[node] >= calls}
    worst: dict[Any, str] = {}
    for node in sorted(lost, key=lambda node: trunk.norms[node] or 0.0):
        if not lost & set(trunk.graph.predecessors(node)):
            data = trunk.graph.nodes[node]
            worst.setdefault((data.get("scope"), data.get("source") or node), node)
    return list(worst.values())


def _sharing(trunk: Trunk, *, grow: bool = False) -> dict[str, float]:
    """Return among how many calls the fall, or the growth, of each node's gradient is shared.

    With sᵢ = |log gainᵢ| of the calls on its way that shrink, or grow: (Σs)² / Σs². It is n for n
    calls that do as much, and about 1 where a single one does it all. The way begins where the
    gradient was last as at the output side.
    """
    sums: dict[str, tuple[float, float]] = {}
    found: dict[str, float] = {}
    for node in reversed(trunk.order):
        step = trunk.strongest(node)
        total, squares = 0.0, 0.0
        if step is not None:
            above = trunk.norms[step.edge[1]] or 0.0
            level = above <= trunk.reference if grow else above >= trunk.reference
            total, squares = (0.0, 0.0) if level else sums[step.edge[1]]
            if step.gain > 0 and (step.gain > 1) == grow:
                total += abs(math.log(step.gain))
                squares += math.log(step.gain) ** 2
        sums[node] = total, squares
        found[node] = total**2 / squares if squares else 0.0
    return found


def _steep_edges(trunk: Trunk, limit: float, steepest: float) -> Iterator[Step]:
    """Yield single edges that let next to nothing of a healthy gradient through."""
    for operand, result, key, data in trunk.graph.edges(keys=True, data=True):
        gain = getattr(data.get("local_derivative"), "gain", None)
        if gain is None or not 0 < gain < steepest or result not in trunk.below:
            continue
        op = str(trunk.graph.nodes[result].get("op"))
        healthy = (trunk.norms[result] or 0.0) >= limit
        learned = operand in trunk.activations and result in trunk.parametric
        if healthy and not learned and operand in trunk.activations and op not in SELECTIVE + JOINS:
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
