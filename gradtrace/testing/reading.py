"""What the tests of the contract read from a graph, with messages that say what is wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from gradtrace.graph import Graph
from gradtrace.summary import Summary

__all__ = ["assert_close", "assert_sound", "calls", "elements", "node_of", "parts", "uses"]


def calls(graph: Graph) -> list[str]:
    """Return the calls of a graph, in order."""
    return [node for node, kind in graph.nodes(data="kind") if kind == "call"]


def uses(graph: Graph) -> list[tuple[str, dict[str, Any]]]:
    """Return every edge by its name, with its attributes."""
    return [(f"{u} → {v}", data) for u, v, data in graph.edges(data=True)]


def parts(summary: Any) -> list[Summary | None]:
    """Return the summaries of a node: one, or one for each of several results."""
    return list(summary) if isinstance(summary, tuple) else [summary]


def elements(summary: Any, what: str) -> npt.NDArray[np.float64]:
    """Return the elements that were kept of one tensor."""
    assert isinstance(summary, Summary), f"{what} is {summary!r}, not a Summary"
    assert summary.array is not None, f"{what} has no array, though it was traced with keep='all'"
    return np.asarray(summary.array, dtype=np.float64)


def node_of(graph: Graph, numbers: npt.ArrayLike) -> str:
    """Return the one node that has this value."""
    wanted = np.asarray(numbers, dtype=np.float64)
    found: list[str] = [
        node
        for node, value in graph.nodes(data="value")
        if any(_equal(part, wanted) for part in parts(value))
    ]
    assert found, f"no node of the graph has the value {wanted.tolist()}:\n{graph}"
    assert len(found) == 1, f"{', '.join(found)} all have the value {wanted.tolist()}; one should"
    return found[0]


def assert_close(found: npt.ArrayLike, expected: npt.ArrayLike, what: str) -> None:
    """Raise AssertionError unless two arrays have one shape, and agree to 1e-12."""
    left, right = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    same = left.shape == right.shape and np.allclose(left, right, rtol=1e-12, atol=1e-12)
    assert same, f"{what} is {left.tolist()}, it should be {right.tolist()}"


def assert_sound(graph: Graph) -> None:
    """Raise AssertionError unless the chain rule holds at every node, with nothing left open."""
    check = graph.check()
    assert not check.failed, f"the chain rule does not hold:\n{check}"
    assert not check.unverifiable, f"the chain rule cannot be checked everywhere:\n{check}"


def _equal(summary: Any, wanted: npt.NDArray[np.float64]) -> bool:
    if not isinstance(summary, Summary) or summary.array is None:
        return False
    return summary.shape == wanted.shape and bool(np.array_equal(summary.array, wanted))
