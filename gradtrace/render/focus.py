"""The part of a graph that a figure shows, or points out."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

import networkx as nx

from gradtrace.errors import OptionError
from gradtrace.render.pieces import LEAVES

__all__ = ["focused", "highlighted", "visible_part"]

NEIGHBOURS = 2
"""Calls around a node, in either direction, that its neighbourhood holds."""


LEADING = 2
"""Calls without gradient between an input and a call with one, up to which they are drawn."""


def focused(graph: nx.MultiDiGraph[str], focus: str | None) -> nx.MultiDiGraph[str]:
    """Return the part of `graph` in the scope called `focus`, or around the node called so.

    What the part takes from outside, and the calls that use its results, belong to it. Raises
    `OptionError` where neither a scope nor a node is called so.
    """
    if focus is None:
        return graph
    inside = {node for node, scope in graph.nodes(data="scope") if _in(scope, focus)}
    if focus in graph and not inside:
        inside = set(nx.ego_graph(graph.to_undirected(as_view=True), focus, radius=NEIGHBOURS))
        return _part(graph, inside | _leaves_of(graph, inside))
    if not inside:
        raise OptionError(
            f"focus={focus!r} is neither a scope nor a node of the graph; "
            f"use one of the scopes {_some(_scopes(graph))}, or the name of a node"
        )
    border = {near for node in inside for near in _near(graph, node)}
    return _part(graph, inside | border)


def visible_part(graph: nx.MultiDiGraph[str], show: frozenset[str]) -> nx.MultiDiGraph[str]:
    """Return `graph` without the leaves and calls that are not to be shown.

    Values without gradient stay where they lead, in few calls, from an input to a call with one:
    they say what is computed of it.
    """
    hidden: set[str] = set()
    if "parameters" not in show:
        kinds = {"parameter", "buffer", "constant"}
        hidden = {node for node, kind in graph.nodes(data="kind") if kind in kinds}
    if "undifferentiated" not in show:
        plain = {node for node, known in graph.nodes(data="differentiable") if not known}
        hidden |= plain - _leading(graph, plain - hidden)
    return _part(graph, set(graph) - hidden) if hidden else graph


def _leading(graph: nx.MultiDiGraph[str], plain: set[str]) -> set[str]:
    """Return what leads from an input through at most `LEADING` of these nodes to another."""
    inputs = {node for node in plain if graph.nodes[node]["kind"] == "input"}
    near: dict[str, int] = dict.fromkeys(inputs, 0)
    for steps in range(1, LEADING + 1):
        reached = {head for node in near for head in graph.successors(node)}
        near |= dict.fromkeys((reached & plain) - near.keys(), steps)
    leading: set[str] = set()
    for node in sorted(near, key=near.__getitem__, reverse=True):
        if any(head not in plain or head in leading for head in graph.successors(node)):
            leading.add(node)
    return leading


def highlighted(
    graph: nx.MultiDiGraph[str], highlight: str | Iterable[str] | None
) -> tuple[set[str], set[tuple[str, str]]]:
    """Return the nodes and the edges of `graph` that are highlighted.

    One name, of a node or a parameter, stands for it with all that lies between it and what was
    computed of it; several are a path. Raises `OptionError` for a name that no node has.
    """
    if highlight is None:
        return set(), set()
    names = [highlight] if isinstance(highlight, str) else list(highlight)
    for name in names:
        if name not in graph:
            raise OptionError(
                f"highlight={name!r} is not a node of the graph; use one of {_some(list(graph))}"
            )
    if len(names) == 1:
        nodes = {names[0], *nx.descendants(graph, names[0])}
        return nodes, {(tail, head) for tail, head in graph.edges(nodes) if head in nodes}
    return set(names), _steps(graph, names)


def _part(graph: nx.MultiDiGraph[str], nodes: set[str]) -> nx.MultiDiGraph[str]:
    """Return the part of `graph` with these nodes, as a graph of its own that is quick to read."""
    part = graph.subgraph(nodes)
    make = getattr(type(graph), "from_records", None)
    if make is None:
        return part
    edges = list(part.edges(keys=True, data=True))
    made: nx.MultiDiGraph[str] = make(graph.graph, list(part.nodes(data=True)), edges)
    return made


def _steps(graph: nx.MultiDiGraph[str], names: Sequence[str]) -> set[tuple[str, str]]:
    """Return the edges between nodes that follow one another, in either direction."""
    pairs = itertools.pairwise(names)
    both = {edge for one, other in pairs for edge in ((one, other), (other, one))}
    return {edge for edge in both if graph.has_edge(*edge)}


def _in(scope: str, outer: str) -> bool:
    return scope == outer or scope.startswith(f"{outer}.")


def _near(graph: nx.MultiDiGraph[str], node: str) -> Iterable[str]:
    yield from graph.predecessors(node)
    yield from graph.successors(node)


def _leaves_of(graph: nx.MultiDiGraph[str], nodes: Iterable[str]) -> set[str]:
    tails = {tail for node in nodes for tail in graph.predecessors(node)}
    return {tail for tail in tails if graph.nodes[tail]["kind"] in LEAVES}


def _scopes(graph: nx.MultiDiGraph[str]) -> list[str]:
    return sorted({scope for _, scope in graph.nodes(data="scope") if scope})


def _some(names: Sequence[str]) -> str:
    listed = ", ".join(map(repr, names[:8])) or "(there are none)"
    return f"{listed}, …" if len(names) > 8 else listed
