"""A figure as a pydot graph, for tools that work on those."""

from __future__ import annotations

from typing import TypeVar

import graphviz
import pydot

from gradtrace.render.parts import Figure
from gradtrace_graphviz.dot import (
    EDGE_DEFAULTS,
    NODE_DEFAULTS,
    cluster_attributes,
    edge_attributes,
    graph_attributes,
    in_order,
    node_attributes,
)

__all__ = ["to_pydot"]

Thing = TypeVar("Thing", bound=pydot.Common)


def to_pydot(figure: Figure) -> pydot.Dot:
    """Return `figure` as a `pydot.Dot`, built of objects.

    >>> to_pydot(Figure((), (), ())).get_name()
    'gradtrace'
    """
    graph = _with(pydot.Dot("gradtrace", graph_type="digraph"), graph_attributes(figure))
    graph.set_node_defaults(**_quoted(NODE_DEFAULTS))
    graph.set_edge_defaults(**_quoted(EDGE_DEFAULTS | {"fontcolor": figure.theme.grey}))
    frames: dict[str | None, pydot.Graph] = {None: graph}
    depths: dict[str | None, int] = {None: -1}
    for cluster in figure.clusters:
        depth = depths[cluster.id] = depths[cluster.parent] + 1
        frame = pydot.Subgraph(f"cluster_{cluster.id}")
        frames[cluster.id] = _with(frame, cluster_attributes(cluster, depth, figure.theme))
        frames[cluster.parent].add_subgraph(frame)
    for node in figure.nodes:
        frames[node.cluster].add_node(
            _with(pydot.Node(node.id), node_attributes(node, figure.theme))
        )
    for edge in map(in_order, figure.edges):
        graph.add_edge(_with(pydot.Edge(edge.tail, edge.head), edge_attributes(edge)))
    return graph


def _with(thing: Thing, attributes: dict[str, str]) -> Thing:
    """Return a graph, node or edge with `attributes` set."""
    for name, value in _quoted(attributes).items():
        thing.set(name, value)
    return thing


def _quoted(attributes: dict[str, str]) -> dict[str, str]:
    """Return attributes quoted for DOT: pydot's own quoting leaves out some that need it."""
    return {name: graphviz.quoting.quote(value) for name, value in attributes.items()}
