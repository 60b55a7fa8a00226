"""Split the upstream gradient of a value by the uses that it came back along."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import networkx as nx
import numpy as np

from gradtrace.analysis.agreement import elements_of, finite, tolerance_of
from gradtrace.analysis.flow import Edge, carrying, norm_of
from gradtrace.summary import Summary

__all__ = ["Share", "Split", "split"]

FAR = 2_000
"""Nodes among which a way around a skip connection is looked for."""


@dataclass(frozen=True, slots=True)
class Share:
    """What came back along one use."""

    edge: Edge | None
    """The use; None for the seed, the gradient given at an output."""
    operand: str
    norm: float | None
    share: float | None
    """Signed projection on the sum, ⟨d, Σd⟩ / ‖Σd‖²: the shares of all uses add to 1."""
    skips: int | None = None
    """Number of calls that this use passes by, where it is a skip connection."""

    @property
    def name(self) -> str:
        """The use as `result.operand`."""
        return f"{self.edge[1]}.{self.operand}" if self.edge else self.operand


@dataclass(frozen=True, slots=True)
class Split:
    """How the upstream gradient of one value came together."""

    node: str
    norm: float | None
    shares: tuple[Share, ...]
    reason: str | None = None
    """Why the shares are not known."""


def split(graph: nx.MultiDiGraph[str], node: str) -> Split:
    """Return what share of the upstream gradient of `node` came back along each use.

    The projections need the elements (`keep="all"`), save for two uses: then they follow from the
    norms, ⟨a, a + b⟩ = (‖a + b‖² + ‖a‖² − ‖b‖²) / 2.

    >>> graph = nx.MultiDiGraph()
    >>> graph.add_node("x", upstream_gradient=Summary.of([3.0, 1.0]))
    >>> _ = graph.add_edge("x", "y", 0, operand="input", downstream_gradient=Summary.of([2.0, 1.0]))
    >>> _ = graph.add_edge("x", "z", 0, operand="input", downstream_gradient=Summary.of([1.0, 0.0]))
    >>> [(share.name, round(share.share, 3)) for share in split(graph, "x").shares]
    [('y.input', 0.7), ('z.input', 0.3)]
    """
    data = graph.nodes[node]
    uses = list(carrying(graph.out_edges(node, keys=True, data=True)))
    shares = [use[3].get("downstream_gradient") for use in uses]
    total = data.get("upstream_gradient")
    seed = data.get("seed")
    known = [share for share in (*shares, seed) if share is not None]
    parts, reason = _orthogonal(known) if isinstance(total, tuple) else _projections(known, total)
    remaining = iter(parts)
    skips = _skips(graph, node, [use[1] for use in uses])
    nothing = 0.0 if known else None
    found = [
        Share(
            (operand, result, key),
            str(use.get("operand")),
            nothing if share is None else norm_of(share),
            nothing if share is None else next(remaining),
            skips.get(result),
        )
        for (operand, result, key, use), share in zip(uses, shares, strict=True)
    ]
    if seed is not None:
        found.append(Share(None, "seed", norm_of(seed), next(remaining)))
    return Split(node, norm_of(total), tuple(found), reason)


def _orthogonal(shares: Sequence[Summary]) -> tuple[list[float | None], str | None]:
    """Return the shares of the several results of a call, which are parts side by side."""
    norms = [finite(share.norm) for share in shares]
    whole = sum(norm**2 for norm in norms if norm is not None)
    if None in norms:
        return _unknown(shares, "some of its gradients are not known, or not finite")
    if not whole:
        return _unknown(shares, "the sum is 0")
    return [norm**2 / whole for norm in norms if norm is not None], None


def _projections(
    shares: Sequence[Summary], total: Summary | None
) -> tuple[list[float | None], str | None]:
    norms = [finite(share.norm) for share in shares]
    if total is None or None in norms or finite(total.norm) is None:
        return _unknown(shares, "some of its gradients are not known, or not finite")
    if not total.norm:
        return _unknown(shares, "the sum is 0")
    if len(shares) == 1:
        return [1.0], None
    noise = tolerance_of(total).noise
    if total.norm <= noise * sum(norm for norm in norms if norm is not None):
        return _unknown(shares, "the uses cancel up to rounding")
    elements = [elements_of(share) for share in shares]
    if all(element is not None for element in elements):
        return _dots([np.asarray(element) for element in elements])
    if len(shares) == 2 and norms[0] is not None and norms[1] is not None:
        first = (1 + (norms[0] ** 2 - norms[1] ** 2) / total.norm**2) / 2
        return [first, 1 - first], None
    return _unknown(shares, "more than two uses, kept as summaries only; trace with keep='all'")


def _dots(elements: list[Any]) -> tuple[list[float | None], str | None]:
    wide = [element.astype(np.result_type(element, np.float64)).ravel() for element in elements]
    largest = max(np.abs(element).max(initial=0.0) for element in wide) or 1.0
    scaled = [element / largest for element in wide]
    whole = np.sum(scaled, axis=0)
    length = float(np.vdot(whole, whole).real)
    return [float(np.vdot(whole, element).real) / length for element in scaled], None


def _unknown(shares: Sequence[Summary], reason: str) -> tuple[list[float | None], str]:
    return [None] * len(shares), reason


def _skips(graph: nx.MultiDiGraph[str], node: str, results: Sequence[str]) -> dict[str, int]:
    """Return the results that another use also leads to, with the number of calls between."""
    if len(set(results)) < 2:
        return {}
    latest = max(graph.nodes[result].get("order", 0) for result in results)
    wanted = set(results)
    distance: dict[str, int] = {}
    waiting = list(dict.fromkeys(results))
    depth = dict.fromkeys(waiting, 0)
    for current in waiting:  # grows while it is walked: breadth first
        if len(waiting) > FAR:
            break
        for result in graph.successors(current):
            if result in wanted and result not in distance:
                distance[result] = depth[current] + 1
            if result not in depth and graph.nodes[result].get("order", 0) <= latest:
                depth[result] = depth[current] + 1
                waiting.append(result)
    return distance
