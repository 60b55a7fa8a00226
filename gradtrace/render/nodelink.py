"""A graph as JSON, node-link: the form that networkx reads, and d3 draws."""

from __future__ import annotations

import json

import networkx as nx

from gradtrace.render.plain import edge_facts, node_facts

__all__ = ["bare", "write"]


def write(graph: nx.MultiDiGraph[str]) -> str:
    """Return `graph` for `networkx.node_link_graph`, with all that is known as plain data.

    >>> import gradtrace
    >>> print(write(gradtrace.Graph.from_records({}, [], [])))
    {"directed": true, "multigraph": true, "graph": {}, "nodes": [], "edges": []}
    """
    data = nx.node_link_data(bare(graph), edges="edges")
    return json.dumps(data, ensure_ascii=False, allow_nan=False)


def bare(graph: nx.MultiDiGraph[str]) -> nx.MultiDiGraph[str]:
    """Return `graph` with plain attributes only."""
    plain: nx.MultiDiGraph[str] = nx.MultiDiGraph()
    plain.graph.update(
        {k: v for k, v in graph.graph.items() if isinstance(v, str | int | float | bool)}
    )
    for node, data in graph.nodes(data=True):
        facts = node_facts(node, data)
        del facts["id"]
        plain.add_node(node, **facts)
    for tail, head, key, data in graph.edges(keys=True, data=True):
        plain.add_edge(tail, head, key, **edge_facts(data))
    return plain
