"""The graph of a run in the NumPy engine."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import gradtrace
import gradtrace_numpy as gn
from gradtrace.errors import BackendError
from tests.numpy.network import network, traced


def test_nodes_have_names_kinds_and_scopes() -> None:
    graph = traced()
    assert [(node, data["kind"], data["op"]) for node, data in graph.nodes(data=True)] == [
        ("x", "input", None),
        ("layers.0.weight", "parameter", None),
        ("layers.0.bias", "parameter", None),
        ("layers.0.linear", "call", "linear"),
        ("layers.0.relu", "call", "relu"),
        ("layers.1.weight", "parameter", None),
        ("layers.1.bias", "parameter", None),
        ("layers.1.linear", "call", "linear"),
        ("layers.1.relu", "call", "relu"),
        ("extra.scale", "parameter", None),
        ("multiply", "call", "multiply"),
        ("target", "input", None),
        ("mse_loss", "call", "mse_loss"),
    ]
    assert graph.nodes["layers.1.linear"]["scope"] == "layers.1"
    source = graph.nodes["layers.1.linear"]["source"]
    assert Path(source.file).name == "network.py"
    assert source.function == "Network.__call__"
    operands = [data["operand"] for _, _, data in graph.in_edges("layers.0.linear", data=True)]
    assert operands == ["input", "weight", "bias"]
    assert graph.graph["backend"] == "numpy"


def test_the_chain_rule_holds_at_every_node() -> None:
    graph = traced(keep="all", derivatives="exact")
    check = graph.check()
    assert check.ok
    assert {each.node for each in check.unverifiable} == {"x", "target"}


def test_scopes_fold() -> None:
    folded = traced(derivatives="exact", keep="all").collapse(depth=2)
    assert "layers.0" in folded
    assert folded.check().ok
    assert traced(detail="module").number_of_nodes() == folded.number_of_nodes()


def test_a_parameter_has_the_gradient_that_the_run_added() -> None:
    w = gn.parameter([1.0, 2.0])
    np.sum(w * w).backward()
    with gradtrace.trace(keep="all") as graph:
        np.sum(w * w * w).backward()
    np.testing.assert_array_equal(graph.nodes["w"]["upstream_gradient"].array, [3.0, 12.0])
    assert w.grad.tolist() == [5.0, 16.0]
    assert graph.nodes["w"]["kind"] == "parameter"


@pytest.mark.parametrize(("keep", "kept"), [("summary", []), ("small", [4]), ("all", [4, 2000])])
def test_keep_says_what_is_kept(keep: str, kept: list[int]) -> None:
    small, large = gn.array(np.ones(4)), gn.array(np.ones(2000))
    with gradtrace.trace(keep=keep) as graph:
        (np.sum(small * small) + np.sum(large * large)).backward()
    values = [graph.nodes[name]["value"] for name in ("small", "large")]
    assert [value.size for value in values if value.array is not None] == kept
    assert values[1].norm == pytest.approx(math.sqrt(2000))
    gradient = graph.nodes["large"]["upstream_gradient"]
    assert (gradient.array is not None) == (keep == "all")


def test_x_times_x_has_two_edges_each_with_its_share() -> None:
    x = gn.array(3.0)
    with gradtrace.trace(keep="all") as graph:
        (x * x).backward()
    assert [
        (data["operand"], data["downstream_gradient"].mean) for *_, data in graph.edges(data=True)
    ] == [
        ("x1", 3.0),
        ("x2", 3.0),
    ]
    assert graph.nodes["x"]["upstream_gradient"].mean == 6.0


def test_passes_add_up() -> None:
    x = gn.array([1.0, 2.0])
    with gradtrace.trace(keep="all", derivatives="exact") as graph:
        y = np.sum(np.exp(x))
        y.backward(keep_graph=True)
        y.backward(2.0)
    assert graph.nodes["sum"]["seed"].mean == 3.0
    np.testing.assert_allclose(graph.nodes["x"]["upstream_gradient"].array, 3 * np.exp([1.0, 2.0]))
    assert graph.check().ok


def test_a_backward_pass_can_be_traced_itself() -> None:
    x = gn.array([1.0, 2.0])
    with gradtrace.trace(keep="all", derivatives="exact") as graph:
        (slope,) = gn.gradients(np.sum(x**3), [x], create_graph=True)
        np.sum(slope**2).backward()
    np.testing.assert_allclose(x.grad, 36 * np.array([1.0, 8.0]))
    assert graph.check().ok
    assert len(graph) > 6


def test_a_run_without_backward_pass_has_values_only() -> None:
    x = gn.array(np.ones(3))
    with gradtrace.trace() as graph:
        np.sum(x * np.ones(3))
    assert not graph.graph["gradients"]
    assert [data["kind"] for _, data in graph.nodes(data=True)] == [
        "input",
        "constant",
        "call",
        "call",
    ]
    assert graph.nodes["sum"]["upstream_gradient"] is None


def test_what_raised_leaves_the_graph_so_far_and_nothing_behind() -> None:
    x = gn.array(1.0)
    graph: Any = None

    def run() -> None:
        nonlocal graph
        with gradtrace.trace() as graph:
            np.exp(x)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run()
    assert list(graph) == ["x", "exp"]
    np.exp(x)
    assert list(graph) == ["x", "exp"]
    with gradtrace.trace() as empty:
        pass
    assert list(empty) == []


def test_two_runs_give_the_same_graph() -> None:
    options = {"keep": "all", "derivatives": "norm"}
    assert str(traced(**options)) == str(traced(**options))


def test_the_trace_changes_no_number() -> None:
    x, y = gn.array([1.0, 2.0]), gn.array([1.0, 2.0])
    state = np.random.get_state()[1].tolist()  # type: ignore[index, union-attr]
    with gradtrace.trace(derivatives="exact"):
        np.sum(np.tanh(x) ** 2).backward()
    np.sum(np.tanh(y) ** 2).backward()
    assert x.grad.tolist() == y.grad.tolist()
    assert np.random.get_state()[1].tolist() == state  # type: ignore[index, union-attr]


def test_a_parameter_that_was_moved_is_a_value_of_its_own() -> None:
    w = gn.parameter([1.0])
    with gradtrace.trace(keep="all") as graph:
        for _ in range(2):
            np.sum(w * w).backward()
            gn.SGD([w], lr=0.25).step()
    values = [graph.nodes[name]["value"].array.tolist() for name in ("w", "w_2")]
    assert values == [[1.0], [0.5]]


def test_graphs_are_saved_and_loaded(tmp_path: Path) -> None:
    graph = traced(keep="all", derivatives="exact")
    again = gradtrace.load(graph.save(tmp_path / "step.gradtrace"))
    assert str(again) == str(graph)
    assert again.check().ok


def test_the_model_tells_the_backend() -> None:
    with gradtrace.trace(torch.nn.Linear(2, 2)) as graph:
        np.exp(gn.array(1.0))
    assert graph.graph["backend"] == "torch"
    assert list(graph) == []
    with gradtrace.trace([gn.array(1.0)]) as graph:
        torch.ones(2).exp()
    assert graph.graph["backend"] == "numpy"
    assert list(graph) == []


def test_one_block_is_of_one_engine() -> None:
    def run() -> None:
        with gradtrace.trace():
            np.exp(gn.array(1.0))
            torch.ones(2).exp()

    with pytest.raises(BackendError, match="'numpy', 'torch' ran in one trace block"):
        run()


def test_what_holds_no_array_is_no_model() -> None:
    backend = gn.NumpyBackend()
    assert backend.recognizes(gn.array(1.0))
    assert backend.recognizes(network())
    assert not backend.recognizes(np.ones(2))
    assert not backend.recognizes({"a": [1, "b", None]})
    assert not backend.recognizes(torch.nn.Linear(2, 2))


def test_an_ndarray_that_was_written_to_is_a_value_of_its_own() -> None:
    w, batch = gn.array([1.0, 2.0]), np.array([3.0, 4.0])
    with gradtrace.trace(keep="all") as graph:
        first = w * batch
        again = first + batch
        batch[:] = 0.0
        np.sum(again * batch).backward()
    values = [graph.nodes[name]["value"].array.tolist() for name in ("batch", "batch_2")]
    assert values == [[3.0, 4.0], [0.0, 0.0]]
    assert graph.out_degree("batch") == 2
