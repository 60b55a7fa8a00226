"""Count the ways from one node to another, and walk the strongest of them first."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import networkx as nx

from gradtrace.analysis.flow import Edge, carrying, in_run_order, reached

__all__ = ["Region"]

_Link = tuple[Edge, "_Link"] | None
"""A way as its last edge, with the way up to there."""


@dataclass(frozen=True)
class Region:
    """The part of a graph between two nodes, through which gradients come back."""

    source: str
    target: str
    order: list[str]
    """Its nodes, from the source to the target."""
    uses: dict[str, list[tuple[str, int, dict[str, Any]]]]
    """For each node its uses inside: result, key and data of the edge."""

    @classmethod
    def between(cls, graph: nx.MultiDiGraph[str], source: str, target: str) -> Region:
        """Return what lies on a way from `source` to `target`."""
        inside = reached(graph, source) & reached(graph, target, back=True)
        order = [node for node in in_run_order(graph) if node in inside]
        uses = {
            node: [
                (result, key, data)
                for _, result, key, data in carrying(graph.out_edges(node, keys=True, data=True))
                if result in inside
            ]
            for node in order
        }
        return cls(source, target, order, uses)

    def count(self) -> int:
        """Return the number of ways from the source to the target."""
        ways = dict.fromkeys(self.order, 0)
        if self.target in ways:
            ways[self.target] = 1
        for node in reversed(self.order):
            if node != self.target:
                ways[node] = sum(ways[result] for result, _, _ in self.uses[node])
        return ways.get(self.source, 0)

    def strongest(self) -> Iterator[tuple[Edge, ...]]:
        """Yield the ways, that with the largest product of gains first.

        A gain that is not known counts as 1. Each way is found in as many steps as it has edges.
        """
        if self.target not in self.uses:
            return
        costs = {
            node: [(result, key, _cost(data)) for result, key, data in uses]
            for node, uses in self.uses.items()
        }
        ahead = self._best_ahead(costs)
        tie = 0
        waiting: list[tuple[float, int, float, str, _Link]] = [(0.0, 0, 0.0, self.source, None)]
        while waiting:
            _, _, behind, node, link = heapq.heappop(waiting)
            if node == self.target:
                yield _unrolled(link)
                continue
            for result, key, more in costs[node]:
                tie += 1
                cost = behind + more
                entry = (cost + ahead[result], tie, cost, result, ((node, result, key), link))
                heapq.heappush(waiting, entry)

    def _best_ahead(self, costs: dict[str, list[tuple[str, int, float]]]) -> dict[str, float]:
        """Return, for each node, what the strongest way from it to the target costs."""
        ahead = dict.fromkeys(self.order, math.inf)
        ahead[self.target] = 0.0
        for node in reversed(self.order):
            if node != self.target:
                ahead[node] = min(
                    (ahead[result] + cost for result, _, cost in costs[node]),
                    default=math.inf,
                )
        return ahead


def _cost(data: dict[str, Any]) -> float:
    """Return −log(gain), large but finite where nothing comes through."""
    gain = getattr(data.get("local_derivative"), "gain", None)
    if gain is None or math.isnan(gain):
        share = data.get("downstream_gradient")
        return 1e6 if share is None else 0.0
    return -math.log(min(max(gain, 1e-300), 1e300)) if gain else 1e6


def _unrolled(link: _Link) -> tuple[Edge, ...]:
    edges: list[Edge] = []
    while link is not None:
        edge, link = link
        edges.append(edge)
    return tuple(reversed(edges))
