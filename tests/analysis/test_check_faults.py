"""Every planted fault is found, at the node where it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import networkx as nx
import numpy as np
import pytest

from gradtrace.analysis.check import check
from gradtrace.derivative import LocalDerivative
from gradtrace.summary import Summary
from tests.analysis.examples import edge, network, resummarized, verdicts, without_arrays


def scaled_share(graph: nx.MultiDiGraph[str]) -> None:
    share = edge(graph, "w", "halve")
    share["downstream_gradient"] = resummarized(share["downstream_gradient"], lambda a: a * 1.01)


def flipped_share(graph: nx.MultiDiGraph[str]) -> None:
    share = edge(graph, "w", "matmul")
    share["downstream_gradient"] = resummarized(share["downstream_gradient"], lambda a: -a)


def one_element(graph: nx.MultiDiGraph[str]) -> None:
    def change(array: Any) -> Any:
        array[1, 2] += 0.01
        return array

    share = edge(graph, "matmul", "tanh")
    share["downstream_gradient"] = resummarized(share["downstream_gradient"], change)


def dropped_edge(graph: nx.MultiDiGraph[str]) -> None:
    graph.remove_edge("w", "halve")


def swapped_operands(graph: nx.MultiDiGraph[str]) -> None:
    one, other = edge(graph, "x", "matmul"), edge(graph, "w", "matmul")
    for name in ("local_derivative", "downstream_gradient"):
        one[name], other[name] = other[name], one[name]


def wrong_diagonal(graph: nx.MultiDiGraph[str]) -> None:
    share = edge(graph, "matmul", "tanh")
    old = share["local_derivative"]
    share["local_derivative"] = replace(old, array=old.array + 0.01)


def wrong_jacobian(graph: nx.MultiDiGraph[str]) -> None:
    share = edge(graph, "x", "matmul")
    old = share["local_derivative"]
    share["local_derivative"] = replace(old, array=old.array.swapaxes(0, 1))


def wrong_structure(graph: nx.MultiDiGraph[str]) -> None:
    share = edge(graph, "matmul", "tanh")
    share["local_derivative"] = LocalDerivative("identity", (3, 3), (3, 3))


def wrong_gain(graph: nx.MultiDiGraph[str]) -> None:
    share = edge(graph, "matmul", "tanh")
    share["local_derivative"] = replace(share["local_derivative"], gain=2.0)


def wrong_shape(graph: nx.MultiDiGraph[str]) -> None:
    graph.nodes["w"]["upstream_gradient"] = Summary.of(np.ones((3, 4)), keep=True)


def nan_above(graph: nx.MultiDiGraph[str]) -> None:
    node = graph.nodes["w"]
    node["upstream_gradient"] = resummarized(node["upstream_gradient"], _with_nan)


def nan_below(graph: nx.MultiDiGraph[str]) -> None:
    share = edge(graph, "w", "mul")
    share["downstream_gradient"] = resummarized(share["downstream_gradient"], _with_nan)


def nan_swallowed(graph: nx.MultiDiGraph[str]) -> None:
    node = graph.nodes["tanh"]
    node["upstream_gradient"] = resummarized(node["upstream_gradient"], _with_nan)
    share = edge(graph, "tanh", "add")
    share["downstream_gradient"] = node["upstream_gradient"]


def _with_nan(array: Any) -> Any:
    array[0, 0] = np.nan
    return array


def missing_seed(graph: nx.MultiDiGraph[str]) -> None:
    graph.nodes["sum"]["seed"] = None


def cycle(graph: nx.MultiDiGraph[str]) -> None:
    graph.add_edge("add", "matmul", 2, operand="out")


FAULTS: list[tuple[Callable[[nx.MultiDiGraph[str]], None], set[str]]] = [
    (scaled_share, {"w", "halve"}),
    (flipped_share, {"w", "matmul"}),
    (one_element, {"matmul", "tanh"}),
    (dropped_edge, {"w"}),
    (swapped_operands, {"x", "w"}),
    (wrong_diagonal, {"tanh"}),
    (wrong_jacobian, {"matmul"}),
    (wrong_structure, {"tanh"}),
    (wrong_gain, {"tanh"}),
    (wrong_shape, {"w"}),
    (nan_above, {"w"}),
    (nan_below, {"w", "mul"}),
    (nan_swallowed, {"tanh", "add"}),
    (missing_seed, {"sum"}),
    (cycle, {"matmul", "tanh", "add"}),
]


@pytest.mark.parametrize(("plant", "nodes"), FAULTS, ids=lambda f: getattr(f, "__name__", ""))
def test_a_planted_fault_is_found_at_its_node(
    plant: Callable[[nx.MultiDiGraph[str]], None], nodes: set[str]
) -> None:
    graph = network()
    plant(graph)
    found = check(graph)
    assert {verdict.node for verdict in found.failed} == nodes
    assert all(verdict.reason for verdict in found.failed)
    assert not found.ok


@pytest.mark.parametrize(
    ("plant", "node"),
    [
        (scaled_share, "w"),
        (flipped_share, "w"),
        (one_element, "matmul"),
        (dropped_edge, "w"),
        (swapped_operands, "x"),
        (wrong_structure, "tanh"),
        (wrong_gain, "tanh"),
        (wrong_shape, "w"),
        (nan_above, "w"),
        (nan_below, "w"),
        (missing_seed, "sum"),
        (cycle, "tanh"),
    ],
    ids=lambda f: getattr(f, "__name__", ""),
)
def test_summaries_alone_still_show_the_fault(
    plant: Callable[[nx.MultiDiGraph[str]], None], node: str
) -> None:
    graph = network()
    plant(graph)
    assert verdicts(without_arrays(graph))[node] == "fail"
