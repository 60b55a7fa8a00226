"""Pull an upstream gradient back along single paths, and along all of them together."""

from __future__ import annotations

import math
from typing import Any

import networkx as nx
import numpy as np

from gradtrace.analysis.agreement import Array, elements_of
from gradtrace.analysis.flow import Edge
from gradtrace.analysis.routes import Region
from gradtrace.derivative import LocalDerivative
from gradtrace.summary import Summary

__all__ = ["along", "altogether", "begin", "unresolved"]


def begin(graph: nx.MultiDiGraph[str], target: str) -> Array | None:
    """Return the elements of the upstream gradient at `target`, None where they are not known."""
    upstream = graph.nodes[target].get("upstream_gradient")
    elements = elements_of(upstream) if isinstance(upstream, Summary) else None
    return None if elements is None else elements.astype(np.result_type(elements, np.float64))


def unresolved(graph: nx.MultiDiGraph[str], region: Region) -> str | None:
    """Return why contributions cannot be multiplied out, None where they can."""
    if begin(graph, region.target) is None:
        return f"the upstream gradient of {region.target} is not kept; trace with keep='all'"
    for node in region.order:
        for result, _, data in region.uses[node]:
            derivative: LocalDerivative | None = data.get("local_derivative")
            where = f"the local derivative of {result} by {node}"
            if derivative is None:
                return f"{where} was not recorded"
            if not derivative.exact:
                why = derivative.reason or "trace with derivatives='exact'"
                return f"{where} is not known exactly: {why}"
    return None


def along(graph: nx.MultiDiGraph[str], edges: tuple[Edge, ...], upstream: Array) -> Array:
    """Return `upstream`, of the last result, pulled back along `edges`.

    Raises `DerivativeError` where a derivative is not exact, `ValueError` where shapes differ.
    """
    gradient = upstream
    for edge in reversed(edges):
        gradient = _pulled(graph.edges[edge], gradient)
    return gradient


def altogether(region: Region, upstream: Array) -> Array:
    """Return `upstream`, of the target, pulled back to the source along all paths at once."""
    gradients: dict[str, Array] = {region.target: upstream}
    for node in reversed(region.order):
        if node == region.target:
            continue
        shares = [_pulled(data, gradients[result]) for result, _, data in region.uses[node]]
        gradients[node] = sum(shares[1:], shares[0])
    return gradients[region.source]


def _pulled(data: dict[str, Any], upstream: Array) -> Array:
    derivative: LocalDerivative = data["local_derivative"]
    if math.prod(upstream.shape) != math.prod(derivative.result_shape):
        raise ValueError(f"a gradient of shape {upstream.shape} for {derivative!r}")
    with np.errstate(all="ignore"):
        return derivative.pullback(upstream.reshape(derivative.result_shape))
