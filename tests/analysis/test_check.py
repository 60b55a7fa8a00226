"""The chain rule is found to hold where it holds, and where it cannot be checked it says why."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given

from gradtrace.analysis.check import check
from gradtrace.derivative import LocalDerivative
from gradtrace.summary import Summary
from tests.analysis.examples import edge, network, resummarized, verdicts, without_arrays
from tests.analysis.networks import runs
from tests.tapes import Run


@pytest.mark.parametrize("keep", ["all", "small", "summary"])
@pytest.mark.parametrize("derivatives", ["exact", "gain"])
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_every_node_of_a_right_graph_passes(keep: str, derivatives: str, dtype: str) -> None:
    found = check(network(keep=keep, derivatives=derivatives, dtype=dtype))
    assert found.ok
    assert len(found.passed) == len(found) == 8
    assert not found.unverifiable


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("keep", ["all", "summary"])
def test_random_right_graphs_have_no_failure(dtype: str, keep: str) -> None:
    @given(runs(dtype=dtype, keep=keep))
    def holds(run: Run) -> None:
        found = check(run.graph())
        assert found.ok, str(found)

    holds()


def test_nan_on_both_sides_is_consistent() -> None:
    for keep in ("all", "summary"):
        run = Run(keep=keep)
        x = run.leaf("x", [0.0, 2.0])
        y = run.call("mul", run.call("reciprocal", x), run.leaf("k", [0.0, 1.0]))
        run.backward(run.call("sum", run.call("sub", y, x)))
        found = check(run.graph())
        assert not np.isfinite(np.asarray(x.upstream)).all()
        assert found.ok, str(found)
        assert "x" in {verdict.node for verdict in found.passed}


def test_what_a_relu_swallows_is_no_fault() -> None:
    run = Run()
    x = run.leaf("x", [-1.0, 1.0])
    loss = run.call("mul", run.call("relu", x), run.leaf("k", [np.nan, 3.0]))
    run.backward(run.call("sum", loss))
    assert check(run.graph()).ok


def test_several_results_are_checked_part_by_part() -> None:
    run = Run()
    x = run.leaf("x", [1.0, 2.0, 3.0, 4.0])
    first, second = run.call("split", x)
    run.backward(run.call("sum", run.call("mul", first, second)))
    graph: nx.MultiDiGraph[str] = nx.MultiDiGraph(run.graph())
    assert set(verdicts(graph).values()) == {"pass"}
    share = edge(graph, "x", "split")
    share["downstream_gradient"] = resummarized(share["downstream_gradient"], lambda a: a[::-1])
    assert verdicts(graph) | {"x": "fail", "split": "fail"} == verdicts(graph)
    item = edge(graph, "split", "split[1]")
    item["downstream_gradient"] = Summary.of([0.0, 0.0], keep=True)
    assert verdicts(graph)["split[1]"] == "fail"


def test_a_part_that_is_not_used_counts_as_zero() -> None:
    run = Run()
    x = run.leaf("x", [1.0, 2.0, 3.0, 4.0])
    first, _ = run.call("split", x)
    run.backward(run.call("sum", first))
    assert set(verdicts(run.graph()).values()) == {"pass"}


def test_a_share_that_is_not_recorded_makes_its_operand_unverifiable() -> None:
    graph = network()
    edge(graph, "w", "halve")["downstream_gradient"] = None
    verdict = next(each for each in check(graph) if each.node == "w")
    assert verdict.verdict == "unverifiable"
    assert verdict.reason == "what it gets back from halve.input is not recorded"


def test_a_share_known_to_be_zero_is_not_missed() -> None:
    run = Run()
    x = run.leaf("x", [1.0, 2.0])
    run.backward(run.call("sum", run.call("forget", run.call("tanh", x), x)))
    graph: nx.MultiDiGraph[str] = nx.MultiDiGraph(run.graph())
    edge(graph, "x", "forget")["downstream_gradient"] = None
    assert verdicts(graph)["x"] == "pass"


def test_reasons_why_nothing_can_be_verified() -> None:
    run = Run()
    x = run.leaf("x", [1.0], kind="input", differentiable=False)
    w = run.leaf("w", [2.0])
    run.call("mul", x, w)
    reasons = {verdict.node: verdict.reason for verdict in check(run.graph())}
    assert set(reasons.values()) == {"no backward pass ran in the trace block"}
    run.backward(run.call("sum", w))
    run.ended = True
    run.call("tanh", w)
    graph: nx.MultiDiGraph[str] = nx.MultiDiGraph(run.graph())
    graph.nodes["sum"]["note"] = "it was changed out of sight"
    reasons = {verdict.node: verdict.reason for verdict in check(graph)}
    assert reasons["x"] == "no gradient can flow back to it"
    assert reasons["mul"] == reasons["tanh"] == "no backward pass reached it"
    assert reasons["sum"] == "it was changed out of sight"


def test_complex_gradients_are_summed_but_never_pulled_back() -> None:
    graph: nx.MultiDiGraph[str] = nx.MultiDiGraph(gradients=True)
    total = Summary.of([3 + 1j], keep=True)
    graph.add_node("x", upstream_gradient=total)
    graph.add_node("y", upstream_gradient=total, seed=total)
    for key, share in enumerate([1 + 0j, 2 + 1j]):
        derivative = LocalDerivative("identity", (1,), (1,))
        shares = {"downstream_gradient": Summary.of([share], keep=True)}
        graph.add_edge("x", "y", key, operand="z", local_derivative=derivative, **shares)
    assert verdicts(graph) == {"x": "pass", "y": "pass"}
    verdict = next(each for each in check(without_arrays(graph)) if each.node == "x")
    assert verdict.verdict == "unverifiable"
    assert "complex" in str(verdict.reason)


def test_tensors_without_numbers_are_unverifiable() -> None:
    bare = Summary((2,), "float32", "meta")
    graph: nx.MultiDiGraph[str] = nx.MultiDiGraph(gradients=True)
    graph.add_node("x", upstream_gradient=bare, seed=bare)
    assert verdicts(graph) == {"x": "unverifiable"}


def test_a_check_reads_as_a_sequence_and_as_text() -> None:
    graph = network()
    share = edge(graph, "w", "halve")
    share["downstream_gradient"] = resummarized(share["downstream_gradient"], lambda a: a * 1.01)
    graph.nodes["tanh"]["note"] = "seen in part"
    found = check(graph)
    assert len(found) == len(graph)
    assert found[0].node == "x"
    assert [each.node for each in found[:2]] == ["x", "w"]
    assert repr(found) == "<gradtrace.Check: 5 pass, 2 fail, 1 unverifiable>"
    lines = str(found).splitlines()
    assert lines[0] == "chain rule: 5 pass, 2 fail, 1 unverifiable"
    assert lines[1].startswith("  fail  w: its upstream gradient is not the sum of what its uses")
    assert lines[2].startswith("  fail  halve (model.py:5): downstream gradient of input: ")
    assert lines[2].endswith("(relative error 0.01)")
    assert lines[3] == "  unverifiable  1 × seen in part: tanh"
