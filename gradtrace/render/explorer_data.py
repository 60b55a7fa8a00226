"""The gradients of a graph for Model Explorer: a number for each node, coloured by decade."""

from __future__ import annotations

import json
import math

import networkx as nx

from gradtrace.render.explorer import GRAPH
from gradtrace.render.labels import summaries
from gradtrace.render.palette import Magnitudes

__all__ = ["write"]

DARK = 0.55
"""Place on the scale of magnitudes from which text on the colour is white."""


def write(graph: nx.MultiDiGraph[str]) -> str:
    """Return the norm of each upstream gradient as node data for `format="model-explorer"`.

    Gradients that were not computed, or are not finite, have no entry: the format has no number
    for them. The fields are those of `model_explorer.node_data_builder.ModelNodeData`.
    """
    norms = dict(_norms(graph))
    data = {
        "name": "‖upstream gradient‖",
        "results": {node: {"value": norm} for node, norm in norms.items()},
        "thresholds": _decades(norms),
    }
    return json.dumps({GRAPH: data}, ensure_ascii=False, allow_nan=False)


def _norms(graph: nx.MultiDiGraph[str]) -> list[tuple[str, float]]:
    """Return the norm over all results of each node whose gradient is known."""
    found = []
    for node, upstream in graph.nodes(data="upstream_gradient"):
        norms = [s.norm for s in summaries(upstream) if s is not None and s.norm is not None]
        if norms and math.isfinite(total := math.hypot(*norms)):
            found.append((node, total))
    return found


def _decades(norms: dict[str, float]) -> list[dict[str, float | str]]:
    """Return the colour up to each power of ten between the smallest and the largest norm."""
    scale = Magnitudes.of(norms.values())
    if scale is None:
        return []
    return [
        {
            "value": float(f"1e{power}"),
            "bgColor": scale.colour(float(f"1e{power}")),
            "textColor": "#FFFFFF" if scale.position(float(f"1e{power}")) > DARK else "#000000",
        }
        for power in range(scale.low, scale.high + 1)
    ]
