"""Tell activations from weights, the output side from what lies below, and follow the gradient."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import networkx as nx

from gradtrace.analysis.flow import Edge, in_run_order, norm_of, parts_of

__all__ = ["Step", "Trunk", "is_leaf", "sharing", "size_of", "trunk_of"]

_shared: ContextVar[Trunk | None] = ContextVar("_shared", default=None)


@dataclass(frozen=True, slots=True)
class Step:
    """One edge on the way of a gradient, with what it did to it."""

    edge: Edge
    gain: float
    op: str


class Trunk:
    """How a graph lies between its output side and its inputs.

    An *activation* is a result that depends on data, not on parameters alone. The *output side*
    begins at the last activations made with parameters: what lies above is the loss, whose
    gradient is small where the model is right.
    """

    def __init__(self, graph: nx.MultiDiGraph[str]) -> None:
        self.graph = graph
        self.order = in_run_order(graph)
        self.norms = {
            node: norm_of(gradient) for node, gradient in graph.nodes(data="upstream_gradient")
        }
        self.activations = _activations(graph, self.order)
        self.parametric = {node for node in self.activations if self._takes_weights(node)}
        self.below = self._with_parametric_above()
        self.depth = self._depths()
        self.tops = self._output_side()
        self.reference = max((self.norms[node] or 0.0 for node in self.tops), default=0.0)

    def _takes_weights(self, node: str) -> bool:
        return any(
            operand not in self.activations
            and self.graph.nodes[operand].get("differentiable")
            and data.get("local_derivative") is not None
            for operand, _, data in self.graph.in_edges(node, data=True)
        )

    def _with_parametric_above(self) -> set[str]:
        """Return the nodes whose results go, at last, into a call with parameters."""
        found: set[str] = set()
        for node in reversed(self.order):
            if any(
                result in found or result in self.parametric
                for _, result, share in self.graph.out_edges(node, data="downstream_gradient")
                if share is not None
            ):
                found.add(node)
        return found

    def _depths(self) -> dict[str, int]:
        """Return the number of calls between each node and the output, by the longest way."""
        depth: dict[str, int] = {}
        for node in reversed(self.order):
            if self.norms[node] is None:
                continue
            above = [
                depth[result]
                for _, result, share in self.graph.out_edges(node, data="downstream_gradient")
                if share is not None and result in depth
            ]
            depth[node] = 1 + max(above, default=-1)
        return depth

    def _output_side(self) -> list[str]:
        """Return the activations against which gradients are judged."""
        tops = [
            node
            for node in self.parametric
            if node not in self.below and self.norms[node] and size_of(self.graph, node) > 1
        ]
        if self.parametric:
            return tops
        wide = [
            node for node in self.activations if self.norms[node] and size_of(self.graph, node) > 1
        ] or [node for node in self.activations if self.norms[node]]
        nearest = min((self.depth[node] for node in wide), default=0)
        return [node for node in wide if self.depth[node] == nearest]

    def strongest(self, node: str) -> Step | None:
        """Return the use that most of the gradient of `node` came back along."""
        uses = [
            (norm_of(data["downstream_gradient"]) or 0.0, (node, result, key), data)
            for _, result, key, data in self.graph.out_edges(node, keys=True, data=True)
            if data.get("downstream_gradient") is not None
        ]
        if not uses:
            return None
        _, edge, data = max(uses, key=lambda use: use[0])
        gain = _gain(data)
        op = str(self.graph.nodes[edge[1]].get("op"))
        return Step(edge, 1.0 if gain is None else gain, op)

    def route(self, node: str) -> list[Step]:
        """Return the way that most of the gradient of `node` came, from the output side down."""
        steps: list[Step] = []
        tops = set(self.tops)
        while node not in tops and (step := self.strongest(node)) is not None:
            steps.append(step)
            node = step.edge[1]
        return steps[::-1]


@contextmanager
def sharing(graph: nx.MultiDiGraph[str]) -> Iterator[None]:
    """Let the rules of one diagnosis share what they read off the graph."""
    token = _shared.set(Trunk(graph))
    try:
        yield
    finally:
        _shared.reset(token)


def trunk_of(graph: nx.MultiDiGraph[str]) -> Trunk:
    """Return how a graph lies, read anew unless a diagnosis has done so."""
    known = _shared.get()
    return known if known is not None and known.graph is graph else Trunk(graph)


def _activations(graph: nx.MultiDiGraph[str], order: list[str]) -> set[str]:
    """Return the results that depend on data; all results where nothing is known to be data."""
    named = any(kind == "parameter" for _, kind in graph.nodes(data="kind"))
    found: set[str] = set()
    for node in order:
        data = graph.nodes[node]
        if is_leaf(data):
            wide = data.get("kind") == "input" or size_of(graph, node) > 1
            weight = data.get("differentiable") and (data.get("kind") == "parameter" or not named)
            if data.get("kind") in ("input", "constant") and wide and not weight:
                found.add(node)
        elif any(operand in found for operand in graph.predecessors(node)):
            found.add(node)
    results = {node for node in order if not is_leaf(graph.nodes[node])}
    return found & results or results


def is_leaf(data: dict[str, Any]) -> bool:
    """Tell whether no call made the node with these attributes."""
    return data.get("kind") not in ("call", "item")


def size_of(graph: nx.MultiDiGraph[str], node: str) -> int:
    """Return the number of elements of a value, of several results together."""
    return sum(part.size for part in parts_of(graph.nodes[node].get("value")))


def _gain(data: dict[str, Any]) -> float | None:
    derivative = data.get("local_derivative")
    return None if derivative is None else derivative.gain
