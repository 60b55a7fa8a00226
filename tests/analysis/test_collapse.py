"""A folded graph has the same gradients at its borders, and the chain rule still holds in it."""

from __future__ import annotations

import math
import time
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradtrace.analysis.check import check
from gradtrace.analysis.scopes import key_of, placed
from gradtrace.derivative import LocalDerivative
from gradtrace.errors import GradtraceError, OptionError
from gradtrace.graph import Graph
from gradtrace.summary import Summary
from gradtrace.tape import Call, Leaf, Tape, Use, Value
from tests.analysis.examples import edge
from tests.analysis.networks import dense_layer, finish, runs, weights
from tests.tapes import Run


def test_a_scope_becomes_a_call_named_after_it() -> None:
    run = Run()
    x, w = weights(run, 2)
    graph = finish(run, dense_layer(run, x, w, "net.fc", 1, 2)).collapse(depth=2)
    assert list(graph) == ["w0", "w1", "net.fc", "sum"]
    fold = graph.nodes["net.fc"]
    assert (fold["kind"], fold["op"], fold["scope"]) == ("call", "fc", "net.fc")
    assert (fold["folded"], fold["invocations"], fold["seed"]) == (3, (1, 2), None)
    assert fold["source"].line == 3
    assert fold["value"].shape == (3, 3)
    operands = {
        (u, k): d["operand"] for u, _, k, d in graph.in_edges("net.fc", keys=True, data=True)
    }
    expected = {("w0", 0): "matmul.input", ("w1", 1): "matmul.other", ("w0", 2): "add.other"}
    assert operands == expected


def test_a_fold_of_one_call_keeps_its_op() -> None:
    run = Run()
    x, w = weights(run, 2)
    run.scope = "fc1"
    graph = finish(run, run.call("matmul", x, w)).collapse(depth=1)
    assert graph.nodes["fc1"]["op"] == "matmul"
    assert edge(graph, "w0", "fc1")["operand"] == "matmul.input"


def test_a_module_called_twice_becomes_two_folds() -> None:
    run = Run()
    x, w = weights(run, 2)
    middle = dense_layer(run, x, w, "net.shared", 1, 2)
    graph = finish(run, dense_layer(run, middle, w, "net.shared", 1, 3))
    twice = graph.collapse(depth=2)
    assert list(twice) == ["w0", "w1", "net.shared", "net.shared_2", "sum"]
    assert list(graph.collapse(depth=1)) == ["w0", "w1", "net", "sum"]
    assert list(graph.collapse()) == list(twice)
    assert check(twice).ok


def test_a_module_that_only_calls_others_is_told_apart_by_its_invocations() -> None:
    run = Run()
    x, *ws = weights(run, 3)
    value = x
    for outer in (1, 5):
        for number, w in enumerate(ws):
            serials = (outer, outer + 1 + number)
            value = dense_layer(run, value, w, f"net.layers.{number}", *serials)
    graph = finish(run, value)
    assert [n for n in graph.collapse(depth=1) if n.startswith("net")] == ["net", "net_2"]
    folds = [n for n in graph.collapse(depth=3) if n.startswith("net")]
    assert folds == ["net.layers.0", "net.layers.1", "net.layers.0_2", "net.layers.1_2"]


def test_containers_have_no_serial() -> None:
    block = {"kind": "call", "scope": "layers.0.attn", "invocations": (7, 8)}
    known = placed([block])
    assert key_of(block, 1, known) == ("layers", ())
    assert key_of(block, 2, known) == ("layers.0", (7,))
    assert key_of(block, None, known) == ("layers.0.attn", (7, 8))
    rooted = block | {"invocations": (1, 7, 8)}
    assert key_of(rooted, 1, known) == ("layers", (1,))
    assert key_of(rooted, 2, known) == ("layers.0", (1, 7))


def test_interleaved_containers_are_split_where_folding_would_close_a_cycle() -> None:
    run = Run()
    x, *ws = weights(run, 4)
    value = x
    for number, w in enumerate(ws):
        value = dense_layer(run, value, w, f"layers.{number}", number + 1)
        run.scope = f"norms.{number}"
        value = run.call("tanh", value)
    graph = finish(run, value).collapse(depth=1)
    folds = [node for node in graph if "." in node or "layers" in node or "norms" in node]
    assert folds == ["layers", "norms", "layers_2", "norms_2", "layers_3", "norms_3"]
    assert nx.is_directed_acyclic_graph(graph)
    assert check(graph).ok


def test_branches_that_do_not_depend_on_each_other_are_not_split() -> None:
    run = Run()
    x, w = weights(run, 2)
    left = right = x
    for _ in range(3):
        left = dense_layer(run, left, w, "left")
        right = dense_layer(run, right, w, "right")
    graph = finish(run, run.call("add", left, right)).collapse(depth=1)
    assert list(graph) == ["w0", "w1", "left", "right", "add", "sum"]
    assert check(graph).ok


def test_a_fold_with_several_results_has_an_item_for_each() -> None:
    run = Run()
    x, w = weights(run, 2)
    run.scope = "rnn"
    hidden = run.call("tanh", run.call("matmul", x, w))
    output = run.call("mul", hidden, w)
    run.scope = ""
    graph = finish(run, run.call("add", output, run.call("halve", hidden))).collapse(depth=1)
    fold = graph.nodes["rnn"]
    assert [summary.shape for summary in fold["value"]] == [(3, 3), (3, 3)]
    assert {"rnn[0]", "rnn[1]"} <= set(graph)
    assert graph.nodes["rnn[0]"]["kind"] == "item"
    assert graph.has_edge("rnn", "rnn[1]", 1)
    assert graph.has_edge("rnn[0]", "halve")
    inner = graph.nodes["rnn[0]"]["upstream_gradient"].array
    np.testing.assert_allclose(inner, np.full((3, 3), 0.5))
    derivative = edge(graph, "w0", "rnn")["local_derivative"]
    assert derivative.structure == "dense"
    assert derivative.array.shape == (18, 3, 3)
    found = check(graph)
    assert {verdict.verdict for verdict in found} == {"pass"}, str(found)


def test_parts_of_a_call_stay_with_it() -> None:
    run = Run()
    (w,) = weights(run, 1, size=4)
    run.scope = "a"
    first, second = run.call("split", w)
    output = run.call("mul", first, second)
    graph = finish(run, output)
    folded = graph.collapse(depth=1)
    assert list(folded) == ["w0", "a", "sum"]
    assert edge(folded, "w0", "a")["local_derivative"].structure == "dense"
    assert {verdict.verdict for verdict in check(folded)} == {"pass"}


def test_what_is_too_shallow_stays() -> None:
    run = Run()
    x, w = weights(run, 2)
    graph = finish(run, dense_layer(run, x, w, "net"))
    folded = graph.collapse(depth=2)
    assert list(folded) == list(graph)
    assert list(folded.edges(keys=True)) == list(graph.edges(keys=True))
    assert folded.graph == graph.graph


def test_folding_again_folds_further() -> None:
    run = Run()
    x, *ws = weights(run, 3)
    value = x
    for number, w in enumerate(ws):
        value = dense_layer(run, value, w, f"net.{number}", 1, 2 + number)
    graph = finish(run, value)
    direct, twice = graph.collapse(depth=1), graph.collapse(depth=2).collapse(depth=1)
    assert list(direct) == list(twice)
    assert twice.nodes["net"]["folded"] == direct.nodes["net"]["folded"] == 6
    operands = sorted(data["operand"] for *_, data in direct.in_edges("net", data=True))
    assert operands[0] == "0.add.other"
    again = twice.collapse(depth=1)
    assert [d["operand"] for *_, d in again.edges(data=True)] == [
        d["operand"] for *_, d in twice.edges(data=True)
    ]


def test_an_output_that_nobody_uses_is_the_value_of_its_fold() -> None:
    run = Run()
    x, w = weights(run, 2)
    dense_layer(run, x, w, "net")
    graph = run.graph().collapse(depth=1)
    assert graph.nodes["net"]["value"].shape == (3, 3)
    assert graph.nodes["net"]["upstream_gradient"] is None


def test_a_loss_inside_a_scope_keeps_its_seed() -> None:
    run = Run()
    x, w = weights(run, 2)
    run.scope = "criterion"
    run.backward(run.call("sum", run.call("mul", x, w)))
    graph = run.graph().collapse(depth=1)
    assert graph.nodes["criterion"]["seed"].max == 1.0
    assert {verdict.verdict for verdict in check(graph)} == {"pass"}


def test_a_note_inside_makes_the_product_unknown() -> None:
    run = Run()
    x, w = weights(run, 2)
    tape_graph = finish(run, dense_layer(run, x, w, "fc"))
    graph: nx.MultiDiGraph[str] = nx.MultiDiGraph(tape_graph)
    graph.nodes["fc.tanh"]["note"] = "seen in part"
    folded = Graph(graph).collapse(depth=1)
    assert edge(folded, "w1", "fc")["local_derivative"].reason == "seen in part"
    assert check(folded).ok


def test_names_that_are_taken_are_numbered() -> None:
    run = Run()
    x = run.leaf("fc", np.ones((3, 3)))
    graph = finish(run, dense_layer(run, x, x, "fc")).collapse(depth=1)
    assert list(graph) == ["fc", "fc_2", "sum"]


@pytest.mark.parametrize("depth", [0, -1, 1.0, True, "1"])
def test_a_depth_that_is_none_is_refused(depth: Any) -> None:
    run = Run()
    graph = finish(run, run.leaf("x", [1.0]))
    with pytest.raises(OptionError, match=r"depth=.* is not a depth; use an integer from 1"):
        graph.collapse(depth=depth)


def test_a_graph_with_a_cycle_is_refused() -> None:
    graph: nx.MultiDiGraph[str] = nx.MultiDiGraph()
    graph.add_nodes_from("ab", kind="call", scope="", invocations=(), order=0)
    graph.add_edges_from([("a", "b"), ("b", "a")])
    with pytest.raises(GradtraceError, match=r"cycle cannot be folded; graph\.check\(\) names"):
        Graph(graph).collapse(depth=1)


@pytest.mark.parametrize("keep", ["all", "summary"])
@pytest.mark.parametrize("depth", [1, 2, 3, None])
def test_random_graphs_stay_acyclic_with_the_same_gradients(depth: int | None, keep: str) -> None:
    @given(runs(keep=keep))
    def holds(run: Run) -> None:
        graph = run.graph()
        folded = graph.collapse(depth=depth)
        assert nx.is_directed_acyclic_graph(folded)
        assert calls(folded) == calls(graph)
        for node in set(graph) & set(folded):
            if not graph.nodes[node]["scope"]:
                assert folded.nodes[node] == graph.nodes[node]
                assert shares(folded, node) == shares(graph, node)
        found = check(folded)
        assert found.ok, str(found)

    holds()


def calls(graph: nx.MultiDiGraph[str]) -> int:
    nodes = [data for _, data in graph.nodes(data=True) if data["kind"] == "call"]
    return sum(data.get("folded", 1) for data in nodes)


def shares(graph: nx.MultiDiGraph[str], node: str) -> list[str]:
    edges: Any = graph.out_edges(node, data="downstream_gradient")
    return sorted(repr(share) for _, _, share in edges)


@given(
    st.lists(st.tuples(st.integers(0, 3), st.lists(st.integers(0, 30), max_size=3)), max_size=40)
)
def test_any_grouping_of_any_graph_is_acyclic(program: list[tuple[int, list[int]]]) -> None:
    x = Value(Summary((), "float64"))
    steps: list[Leaf | Call] = [Leaf("input", ("x",), x)]
    values = [x]
    for scope, operands in program:
        uses = [Use("input", values[index % len(values)]) for index in operands]
        values.append(Value(Summary((), "float64")))
        steps.append(Call("op", [values[-1]], uses, scope=("", "a", "b", "c")[scope]))
    folded = Graph.from_tape(Tape(steps)).collapse(depth=1)
    assert nx.is_directed_acyclic_graph(folded)


def test_five_thousand_calls_fold_in_seconds() -> None:
    summary = Summary((), "float64")
    derivative = LocalDerivative("operator", (), ())
    value = Value(summary, differentiable=True)
    steps: list[Leaf | Call] = [Leaf("input", ("x",), value)]
    values = [value]
    rng = np.random.default_rng(0)
    for number in range(5000):
        reach = min(len(values), 50)
        picked = {len(values) - 1 - int(i) for i in rng.integers(0, reach, size=2)}
        uses = [Use("input", values[i], derivative) for i in sorted(picked)]
        values.append(Value(summary, differentiable=True))
        steps.append(Call("op", [values[-1]], uses, scope=f"s{number % 7}.{number % 3}"))
    graph = Graph.from_tape(Tape(steps))
    for depth in (1, 2, None):
        begin = time.process_time()
        folded = graph.collapse(depth=depth)
        assert time.process_time() - begin < 10
        assert nx.is_directed_acyclic_graph(folded)
        assert math.isclose(calls(folded), calls(graph))
