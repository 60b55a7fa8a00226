"""Two runs: where they part, and that they do not where they do not."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

import gradtrace
from gradtrace.analysis.diff import diff
from gradtrace.errors import OptionError
from gradtrace.graph import Graph
from gradtrace.summary import Summary
from tests.analysis.faults import Transformer, put, traced
from tests.analysis.networks import runs
from tests.tapes import Run, example

X = torch.randn(4, 6, 8, generator=torch.Generator().manual_seed(0))
Y = torch.tensor([0, 1, 2, 3])


def trace(model: nn.Module, x: Tensor = X, **options: Any) -> Graph:
    graph = traced(model, lambda: F.cross_entropy(model(x).float(), Y), **options)
    model.zero_grad()
    return graph


def transformer(seed: int = 0) -> Transformer:
    torch.manual_seed(seed)
    return Transformer()


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


class TestTorch:
    @pytest.mark.parametrize("keep", ["summary", "all"])
    def test_twice_the_same(self, keep: str) -> None:
        model = transformer()
        found = trace(model, keep=keep).diff(trace(model, keep=keep))
        assert found.same, str(found)

    def test_a_changed_weight_deep_inside(self) -> None:
        one = transformer()
        other = copy.deepcopy(one)
        with torch.no_grad():
            other.blocks[1].fc1.weight[3, 2] += 0.1
        found = trace(one).diff(trace(other))
        assert found.first_value is not None
        assert found.first_value.a == "blocks.1.fc1.weight"
        assert not any(row.value_parts for row in found.rows if row.a.startswith("blocks.0"))

    def test_a_wrong_backward_parts_backward_only(self) -> None:
        class Doubled(torch.autograd.Function):
            @staticmethod
            def forward(ctx: Any, x: Tensor) -> Tensor:
                return x * 1

            @staticmethod
            def backward(ctx: Any, *gradients: Tensor) -> Any:
                return gradients[0] * 2

        class Plain(Doubled):
            @staticmethod
            def backward(ctx: Any, *gradients: Tensor) -> Any:
                return gradients[0]

        graphs = []
        for function in (Plain, Doubled):
            model = transformer()
            put("on_hidden", lambda x, f=function: f.apply(x) + 0)(model.blocks[1])
            graphs.append(trace(model, keep="all"))
        found = graphs[0].diff(graphs[1])
        assert found.first_value is None
        assert found.first_gradient is not None
        assert found.first_gradient.a == "blocks.1.relu"

    def test_two_seeds(self) -> None:
        found = trace(transformer(0)).diff(trace(transformer(1)))
        assert not found.only_in_a
        assert not found.only_in_b
        assert found.first_value is not None
        assert found.first_value.a == "inp.weight"

    def test_float32_against_bfloat16(self) -> None:
        model = transformer()
        narrow = copy.deepcopy(model).bfloat16()
        one, other = trace(model, keep="all"), trace(narrow, X.bfloat16(), keep="all")
        found = one.diff(other)
        assert found.only_in_a == ()
        assert found.only_in_b == ("float",)
        assert len(found.rows) == len(one)
        first = found.first_value
        assert first is None or not first.a.startswith(("inp", "blocks.0.norm1"))
        with torch.no_grad():
            narrow.inp.weight.mul_(1.5)
        wrong = one.diff(trace(narrow, X.bfloat16(), keep="all"))
        assert wrong.first_value is not None
        assert wrong.first_value.a == "inp.weight"

    def test_a_port_with_other_names(self) -> None:
        class Port(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.a, self.b = nn.Linear(8, 16), nn.Linear(16, 4)

            def forward(self, x: Tensor) -> Tensor:
                return self.b(F.relu(self.a(x)))

        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))
        port = Port()
        port.a, port.b = copy.deepcopy(model[0]), copy.deepcopy(model[2])
        x = X[:, 0]
        found = trace(model, x).diff(trace(port, x))
        assert found.same, str(found)
        assert {row.a: row.b for row in found.rows}["0.linear"] == "a.linear"
        with torch.no_grad():
            port.b.bias[0] += 1
        wrong = trace(model, x).diff(trace(port, x))
        assert wrong.first_value is not None
        assert wrong.first_value.name == "2.bias ~ b.bias"

    def test_another_engine(self) -> None:
        """The NumPy engine of the tests says `mul` and `matmul`; torch may say them in one call."""
        rng = np.random.default_rng(0)
        arrays = [rng.normal(size=(3, 3)) for _ in range(3)]
        run = Run()
        x, w, v = (run.leaf(n, a) for n, a in zip("xwv", arrays, strict=True))
        run.backward(
            run.call("sum", run.call("mul", run.call("tanh", run.call("matmul", x, w)), v))
        )
        tensors = [torch.tensor(a, requires_grad=True) for a in arrays]
        with gradtrace.trace(keep="all") as graph:
            x, w, v = tensors
            torch.multiply(torch.tanh(torch.mm(x, w)), v).sum().backward()
        found = run.graph().diff(graph)
        assert found.same, str(found)
        assert {row.a: row.b for row in found.rows}["mul"] == "multiply"

    def test_one_call_against_two_is_aligned_by_value(self) -> None:
        torch.manual_seed(0)
        model = nn.Linear(8, 4)
        x = X[:, 0]
        one = trace(model, x, keep="all")
        two = traced(
            model,
            lambda: F.cross_entropy((x @ model.weight.T + model.bias).tanh().atanh(), Y),
            keep="all",
        )
        rows = {row.a: row for row in one.diff(two, tolerance=1e-4).rows}
        assert rows["linear"].by == "value"
        assert not rows["linear"].parts

    def test_a_loaded_graph(self, tmp_path: Any) -> None:
        graph = trace(transformer(), keep="small")
        again = gradtrace.load(graph.save(tmp_path / "graph.gradtrace"))
        assert graph.diff(again).same


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
    began = time.perf_counter()
    found = one.diff(other)
    str(found)
    assert time.perf_counter() - began < 2
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
