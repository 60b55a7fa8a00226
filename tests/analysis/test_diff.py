"""Two runs: where they part, and that they do not where they do not."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings

from gradtrace.analysis.diff import diff
from gradtrace.errors import OptionError
from gradtrace.graph import Graph
from gradtrace.summary import Summary
from tests.analysis.networks import runs
from tests.tapes import Run, example


def network(factor: float = 1.0, *, extra: bool = False, **options: Any) -> Graph:
    """sum(tanh(x @ w) * v), with one element of w scaled, or one call put in."""
    rng = np.random.default_rng(0)
    run = Run(**options)
    x = run.leaf("x", rng.normal(size=(3, 3)), kind="input")
    weight = rng.normal(size=(3, 3))
    weight[0, 0] *= factor
    hidden = run.call("tanh", run.call("matmul", x, run.leaf("w", weight)))
    if extra:
        hidden = run.call("relu", hidden)
    product = run.call("mul", hidden, run.leaf("v", rng.normal(size=(3, 3))))
    run.backward(run.call("sum", product))
    return run.graph()


@settings(max_examples=40, deadline=None)
@given(run=runs())
def test_a_run_is_the_same_as_itself(run: Run) -> None:
    graph = run.graph()
    found = diff(graph, graph)
    assert found.same
    assert [row.a for row in found.rows] == [row.b for row in found.rows] == list(graph)


@settings(max_examples=40, deadline=None)
@given(run=runs())
def test_other_ids_are_aligned_by_structure(run: Run) -> None:
    graph = run.graph()
    renamed = nx.relabel_nodes(nx.MultiDiGraph(graph), {v: f"n.{v}" for v in graph})
    for node in renamed:
        renamed.nodes[node]["names"] = ()
    found = diff(graph, renamed)
    assert not found.only_in_a
    assert not found.only_in_b
    shapes = [(graph.nodes[row.a]["op"], renamed.nodes[row.b]["op"]) for row in found.rows]
    assert all(one == other for one, other in shapes)


@pytest.mark.parametrize("options", [{}, {"keep": "summary", "derivatives": "gain"}])
def test_the_first_to_part_is_named(options: dict[str, Any]) -> None:
    found = diff(network(**options), network(1.5, **options))
    assert not found.same
    assert found.first_value is not None
    assert found.first_gradient is not None
    assert found.first_value.a == "w"
    assert found.first_gradient.a == "tanh" or found.first_gradient.a == "v"
    assert found.first_value.compared == ("summaries" if options else "elements")
    assert ("compared by summaries: all nodes" in str(found)) == bool(options)


@pytest.mark.parametrize("node", ["w", "matmul", "tanh", "v", "mul", "sum"])
@pytest.mark.parametrize("what", ["value", "upstream_gradient"])
def test_a_planted_change_is_found_where_it_is(node: str, what: str) -> None:
    graph = network()
    changed = nx.MultiDiGraph(graph)
    old = changed.nodes[node][what]
    changed.nodes[node][what] = Summary.of(old.array * 1.001, keep=True)
    found = diff(graph, changed)
    (row,) = found.parted
    assert row.a == node
    assert (row.value_parts, row.gradient_parts) == (what == "value", what != "value")
    error = row.value_error if what == "value" else row.gradient_error
    assert error == pytest.approx(1e-3, rel=1e-2)


def test_a_tolerance_can_be_given() -> None:
    one, other = network(), network(1 + 1e-6)
    assert not one.diff(other).same
    assert one.diff(other, tolerance=1e-3).same
    assert not one.diff(other, tolerance=0).same
    with pytest.raises(OptionError, match="tolerance=-1 is no relative difference; use 0 or more"):
        one.diff(other, tolerance=-1)


def test_a_call_put_in_between_is_in_one_only() -> None:
    found = network().diff(network(extra=True))
    assert (found.only_in_a, found.only_in_b) == ((), ("relu",))
    assert {row.a: row.b for row in found.rows}["sum"] == "sum"
    assert found.first_value is not None
    assert found.first_value.a == "mul"
    assert "only in b: relu" in str(found)


def test_shapes_that_differ_part() -> None:
    one, other = nx.MultiDiGraph(), nx.MultiDiGraph()
    one.add_node("x", kind="input", value=Summary.of([1.0, 2.0]))
    other.add_node("x", kind="input", value=Summary.of([[1.0, 2.0]]))
    (row,) = diff(one, other).rows
    assert row.reason == "shape (2,) against (1, 2)"


def test_nan_in_one_only_parts() -> None:
    graph = network()
    changed = nx.MultiDiGraph(graph)
    array = changed.nodes["tanh"]["value"].array.copy()
    array[1, 1] = np.nan
    changed.nodes["tanh"]["value"] = Summary.of(array, keep=True)
    found = diff(graph, changed)
    assert [row.a for row in found.parted] == ["tanh"]
    assert diff(changed, changed).same


def test_whole_numbers_are_exact() -> None:
    one, other = nx.MultiDiGraph(), nx.MultiDiGraph()
    one.add_node("ids", kind="input", value=Summary.of(np.array([100, 7]), keep=True))
    other.add_node("ids", kind="input", value=Summary.of(np.array([100, 8]), keep=True))
    assert not diff(one, other).same


def test_several_results_are_compared_part_by_part() -> None:
    graph = example()
    changed = nx.MultiDiGraph(graph)
    first, second = changed.nodes["net.split"]["value"]
    changed.nodes["net.split"]["value"] = (first, Summary.of(second.array + 1, keep=True))
    assert [row.a for row in diff(graph, changed).parted] == ["net.split"]


def big(make: Callable[[int], float]) -> Graph:
    run = Run(keep="summary", derivatives="gain")
    x = run.leaf("x", np.ones((2, 3)), kind="input")
    for number in range(2500):
        x = run.call("mul", x, run.leaf(f"w{number}", np.full((2, 3), make(number))))
    run.backward(run.call("sum", x))
    return run.graph()


def test_5000_nodes_take_less_than_2_seconds() -> None:
    one, other = big(lambda n: 1.0), big(lambda n: 1.0 + (n == 2000))
    assert len(one) > 5000
    began = time.process_time()
    found = one.diff(other)
    str(found)
    assert time.process_time() - began < 2
    assert found.first_value is not None
    assert found.first_value.a == "w2000"


def test_the_text_of_a_large_difference_is_cut() -> None:
    one = big(lambda n: 1.0)
    changed = nx.MultiDiGraph(one)
    for node in changed:
        value = changed.nodes[node]["value"]
        changed.nodes[node]["value"] = replace(value, mean=value.mean + 1, max=value.max + 1)
    lines = str(diff(one, changed)).splitlines()
    assert len(lines) < 30
    assert lines[-1].endswith("more nodes; .rows holds all")
