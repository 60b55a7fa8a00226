"""What the browser draws a graph from: its boxes, arrows and scopes, coloured by a quantity."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

import gradtrace
from gradtrace.render.interactive.data import page_data
from gradtrace.render.labels import summaries
from gradtrace_dashboard.cells import NAN, kinds_of
from gradtrace_dashboard.charts.heat import levels
from gradtrace_dashboard.charts.legend import colours, strip
from gradtrace_dashboard.charts.scales import Scale
from gradtrace_dashboard.charts.theme import Theme, ink_on

__all__ = ["COLOURINGS", "MOST", "colouring", "edge_id", "fitting", "measure", "scene"]

COLOURINGS = ("kind", "upstream gradient", "gain", "value")
"""What the colour of a node may show."""

MOST = 6000
"""Nodes that are sent to the browser; a larger graph is folded first."""

NODE = ("id", "kind", "op", "order", "differentiable", "seed")
TENSOR = ("shape", "dtype", "norm", "mean")
"""What of a node and of its tensors is written on its box."""


def edge_id(tail: str, head: str, key: object) -> str:
    """Return the name of an edge in an address.

    >>> edge_id("x", "y", 0)
    '["x", "y", 0]'
    """
    return json.dumps([tail, head, key], ensure_ascii=False)


def fitting(graph: gradtrace.Graph) -> tuple[gradtrace.Graph, str]:
    """Return the graph, folded where it has too many nodes, and what is to be said of that."""
    if len(graph) <= MOST:
        return graph, ""
    scopes = [str(scope) for _, scope in graph.nodes(data="scope") if scope]
    deepest = max((scope.count(".") + 1 for scope in scopes), default=0)
    for depth in range(deepest, 0, -1):
        folded = graph.collapse(depth=depth)
        if len(folded) <= MOST or depth == 1:
            note = f"{len(graph):,} nodes are too many; what lies below depth {depth} is one box."
            return folded, note
    return graph, ""


def scene(graph: gradtrace.Graph) -> dict[str, Any]:
    """Return boxes, arrows and scopes of `graph`, with the numbers that are written on them."""
    page = page_data(graph)
    keys: dict[tuple[str, str, str], list[Any]] = defaultdict(list)
    for tail, head, key, data in graph.edges(keys=True, data=True):
        keys[tail, head, str(data["operand"])].append(key)
    names = [node["id"] for node in page["nodes"]]
    edges = []
    for edge in page["edges"]:
        tail, head = (names[page["boxes"][edge[end]][0]] for end in ("from", "to"))
        found = keys[tail, head, edge["operand"]]
        shown = {name: edge[name] for name in ("from", "to", "label") if name in edge}
        shown["downstream_gradient"] = _tensors(edge.get("downstream_gradient"))
        edges.append({**shown, "id": edge_id(tail, head, found.pop(0))})
    nodes = [
        {
            **{name: node[name] for name in NODE if name in node},
            **{name: _tensors(node[name]) for name in ("value", "upstream_gradient")},
        }
        for node in page["nodes"]
    ]
    return {"nodes": nodes, "edges": edges, **{n: page[n] for n in ("boxes", "frames", "scale")}}


def _tensors(found: Sequence[Mapping[str, Any] | None] | None) -> list[Any] | None:
    if found is None:
        return None
    return [each and {name: each[name] for name in TENSOR if name in each} for each in found]


def measure(data: Mapping[str, Any], quantity: str, incoming: Iterable[Any] = ()) -> float | None:
    """Return the number that colours a node; None where it was not computed."""
    if quantity == "gain":
        found = [each["local_derivative"] for each in incoming if each["local_derivative"]]
        gains = [each.gain for each in found if each.gain is not None]
        return float(np.max(gains)) if gains else None  # NaN, if one of them is
    tensors = data.get("upstream_gradient" if quantity == "upstream gradient" else "value")
    known = [each.norm for each in summaries(tensors) if each and each.norm is not None]
    return math.hypot(*known) if known else None


def colouring(graph: gradtrace.Graph, names: Sequence[str], quantity: str, theme: Theme) -> Any:
    """Return the level of each of the nodes `names`, the colours of all levels, and a legend.

    Colours by kind are those of the page itself; None is returned for them.
    """
    if quantity == "kind":
        return None
    numbers = [
        measure(graph.nodes[name], quantity, (data for *_, data in graph.in_edges(name, data=True)))
        for name in names
    ]
    values = np.array([math.nan if each is None else each for each in numbers])
    kinds = kinds_of(values)
    kinds[[each is not None and math.isnan(each) for each in numbers]] = NAN
    scale = Scale.of([each for each in numbers if each is not None], log=True)
    found = colours(theme, "cividis")
    title = f"norm of the {quantity}" if quantity != "gain" else "largest gain of the operands"
    return {
        "levels": levels(values, kinds, scale, zero_first=False).tolist(),
        "colours": found,
        "inks": [ink_on(each) for each in found],
        "legend": strip(f"Colour: {title}; of a closed scope, the largest", found, scale, theme),
    }
