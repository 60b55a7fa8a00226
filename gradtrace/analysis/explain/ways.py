"""The paths that a gradient takes from outputs back to a target: how many, and the largest."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import networkx as nx

__all__ = ["Step", "Ways", "ways_between"]

TIE = 9
"""Decimals of a logarithm up to which two paths count as equally large."""


class Step(NamedTuple):
    """One edge of a path, by which a gradient comes from a result back to an operand."""

    result: str
    operand: str
    key: Any
    data: dict[str, Any]
    upstream: Any
    """The upstream gradient of the result."""


Trail = tuple[Step, "Trail | None"]
"""Steps from the target up, the last one first."""


@dataclass(frozen=True)
class Ways:
    """The part of a graph that lies between a target and outputs."""

    target: str
    outputs: tuple[str, ...]
    order: tuple[str, ...]
    """Its nodes, each before those that use it."""
    steps: dict[str, list[Step]]
    """The uses of each node by which a gradient can come back to it."""

    def count(self) -> int:
        """Return the number of paths, which may be astronomical."""
        counts: dict[str, int] = {}
        for node in reversed(self.order):
            found = sum(counts[step.result] for step in self.steps[node])
            counts[node] = found + (node in self.outputs)
        return counts.get(self.target, 0)

    def share(self, step: Step) -> float | None:
        """Return which part of the gradient of an operand came back along `step`, by norm."""
        mine, total = _norm(step), self._totals[step.operand]
        return mine / total if mine is not None and total else None

    @cached_property
    def _totals(self) -> dict[str, float | None]:
        """The sum of the norms that come back along all uses of each node."""
        return {node: _sum([_norm(step) for step in steps]) for node, steps in self.steps.items()}

    def largest(self) -> Iterator[tuple[Step, ...]]:
        """Yield paths, from output to target, by the product of their shares, largest first.

        A best-first search that knows how large the best way on is from each node, so that it
        looks at little more than what it yields.
        """
        weights = {id(step): self._weight(step) for each in self.steps.values() for step in each}
        best = self._best(weights)
        waiting: list[tuple[float, int, int, float, str, Trail | None]] = []
        serial = 0

        def add(node: str, so_far: float, depth: int, trail: Trail | None) -> None:
            nonlocal serial
            serial += 1
            rank = -round(so_far + best[node], TIE)
            heapq.heappush(waiting, (rank, -depth, serial, so_far, node, trail))

        if self.target in best:
            add(self.target, 0.0, 0, None)
        while waiting:
            _, depth, _, so_far, node, trail = heapq.heappop(waiting)
            if trail is not None and node == "":
                yield _unrolled(trail)
                continue
            if node in self.outputs:
                best[""] = 0.0
                add("", so_far, 1 - depth, trail) if trail else None
            for step in self.steps[node]:
                add(step.result, so_far + weights[id(step)], 1 - depth, (step, trail))

    def _weight(self, step: Step) -> float:
        share = self.share(step)
        if share is None:
            return -math.log(len(self.steps[step.operand]))
        return math.log(share) if share > 0 else -1e6

    def _best(self, weights: dict[int, float]) -> dict[str, float]:
        """Return the logarithm of the largest product of shares from each node up."""
        best: dict[str, float] = {}
        for node in reversed(self.order):
            ways = [weights[id(step)] + best[step.result] for step in self.steps[node]]
            if node in self.outputs:
                ways.append(0.0)
            best[node] = max(ways)
        return best


def ways_between(graph: nx.MultiDiGraph[str], target: str, outputs: Sequence[str]) -> Ways:
    """Return the ways from `outputs` back to `target` along edges that pass a gradient."""
    above = _reached(graph, [target], upward=True)
    below = _reached(graph, outputs, upward=False)
    inside = {node for node in above if node in below}
    steps = {
        node: [
            Step(result, node, key, data, graph.nodes[result]["upstream_gradient"])
            for _, result, key, data in graph.out_edges(node, keys=True, data=True)
            if result in inside and data["local_derivative"] is not None
        ]
        for node in inside
    }
    kept = tuple(output for output in outputs if output in inside)
    return Ways(target, kept, _sorted(steps), steps)


def _reached(graph: nx.MultiDiGraph[str], start: Sequence[str], *, upward: bool) -> set[str]:
    found, waiting = set(start), list(start)
    while waiting:
        node = waiting.pop()
        edges = graph.out_edges(node, data=True) if upward else graph.in_edges(node, data=True)
        for operand, result, data in edges:
            other = result if upward else operand
            if data["local_derivative"] is not None and other not in found:
                found.add(other)
                waiting.append(other)
    return found


def _sorted(steps: dict[str, list[Step]]) -> tuple[str, ...]:
    """Return the nodes such that each comes before those that use it."""
    pending = dict.fromkeys(steps, 0)
    for each in steps.values():
        for step in each:
            pending[step.result] += 1
    ready = [node for node, count in pending.items() if not count]
    done: list[str] = []
    while ready:
        node = ready.pop()
        done.append(node)
        for step in steps[node]:
            pending[step.result] -= 1
            if not pending[step.result]:
                ready.append(step.result)
    return tuple(done)


def _sum(norms: Sequence[float | None]) -> float | None:
    known = [norm for norm in norms if norm is not None and math.isfinite(norm)]
    return sum(known) if len(known) == len(norms) else None


def _norm(step: Step) -> float | None:
    share = step.data["downstream_gradient"]
    return None if share is None else share.norm


def _unrolled(trail: Trail) -> tuple[Step, ...]:
    """Return the steps of a trail, the one at the output first."""
    steps: list[Step] = []
    rest: Trail | None = trail
    while rest is not None:
        step, rest = rest
        steps.append(step)
    return tuple(steps)
