"""The local derivatives that the NumPy engine records."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gradtrace
import gradtrace_numpy as gn
from tests.numpy.draws import spread
from tests.numpy.network import traced
from tests.numpy.problems import DRAWS, problems


def edges(graph: gradtrace.Graph) -> dict[str, gradtrace.LocalDerivative]:
    return {
        f"{result}.{data['operand']}": data["local_derivative"]
        for _, result, data in graph.edges(data=True)
    }


def test_derivatives_are_recorded_as_asked() -> None:
    assert {d.structure for d in edges(traced()).values() if d} == {"operator"}
    estimated = edges(traced(derivatives="norm"))
    exact = edges(traced(derivatives="exact"))
    assert all(d.norm is not None and d.estimated for d in estimated.values() if d)
    structures = {name: d.structure for name, d in exact.items() if d}
    assert structures == {
        "layers.0.linear.weight": "dense",
        "layers.0.linear.bias": "dense",
        "layers.0.relu.input": "diagonal",
        "layers.1.linear.input": "dense",
        "layers.1.linear.weight": "dense",
        "layers.1.linear.bias": "dense",
        "layers.1.relu.input": "diagonal",
        "multiply.x1": "scaled",
        "multiply.x2": "dense",
        "mse_loss.input": "dense",
    }
    for name, derivative in exact.items():
        if derivative is None:
            continue
        assert derivative.norm == pytest.approx(float(np.linalg.norm(derivative.dense().ravel())))
        assert derivative.gain == pytest.approx(edges(traced())[name].gain)


def test_a_probe_has_the_norm_on_average() -> None:
    x = gn.array(np.linspace(0.1, 2.0, 400))
    with gradtrace.trace(derivatives="norm") as graph:
        y = np.exp(x)
    assert edges(graph)["exp.x"].norm == pytest.approx(float(np.linalg.norm(y.data)), rel=0.2)


def test_a_large_jacobian_says_why_it_is_not_there() -> None:
    x = gn.array(np.ones((30, 30)))
    with gradtrace.trace(derivatives="exact", limit=1000) as graph:
        np.sum(np.tanh(x.T)).backward()
    found = edges(graph)
    assert found["transpose.a"].structure == "operator"
    assert found["transpose.a"].reason == "it has 810,000 elements, over the limit of 1,000"
    assert found["tanh.x"].structure == "scaled"
    assert found["sum.a"].structure == "dense"


def test_structures_are_as_cheap_as_they_are_true() -> None:
    x = gn.array([[1.0, -2.0, 3.0]])
    row = gn.array(np.ones((2, 3)))
    with gradtrace.trace(derivatives="exact", keep="all") as graph:
        total = np.sum(x.reshape(3) * 2.0) + np.sum(np.transpose(x)) + np.sum(row + x)
        total = total + np.sum(np.floor(x)) + np.sum(np.maximum(x, 0.0))
        total.backward()
    found = {name: d.structure for name, d in edges(graph).items()}
    assert found["reshape.a"] == "identity"
    assert found["multiply.x1"] == "scaled"
    assert found["transpose.a"] == "identity"
    assert found["add.x1"] == "identity"
    assert found["add_2.x1"] == "identity"
    assert found["floor.x"] == "zero"
    assert found["maximum.x1"] == "diagonal"
    assert "dense" in {found["add_2.x2"], found["add.x2"], found["add_3.x2"]}
    assert graph.check().ok


def test_several_results_count_as_one() -> None:
    x = gn.array(np.arange(1.0, 7.0))
    with gradtrace.trace(derivatives="exact", keep="all") as graph:
        first, second, _ = np.split(x, 3)
        np.sum(first * second).backward()
    assert graph.nodes["split[0]"]["kind"] == "item"
    assert "split[2]" not in graph
    assert edges(graph)["split.ary"].structure == "identity"
    assert len(graph.nodes["split"]["value"]) == 3
    assert graph.check().ok
    assert {each.node for each in graph.check().passed} == set(graph)


ROWS = sorted(DRAWS)


@pytest.mark.parametrize("name", ROWS)
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_what_is_recorded_is_the_pullback_of_the_row(name: str, data: st.DataObject) -> None:
    problem = data.draw(problems(name))
    operands = [gn.array(x) if isinstance(x, np.ndarray) else x for x in problem.operands]
    with gradtrace.trace(derivatives="exact", keep="all") as graph:
        made = gn.table[name](*operands, **problem.arguments)
        parts = made if isinstance(made, tuple) else (made,)
        seeds = [np.cos(np.arange(float(part.size))).reshape(part.shape) for part in parts]
        total = sum(np.sum(part * seed) for part, seed in zip(parts, seeds, strict=True))
        total.backward()
    assert graph.check().ok
    upstream = seeds[0] if len(seeds) == 1 else np.concatenate([seed.ravel() for seed in seeds])
    call = next(node for node, data in graph.nodes(data=True) if data["op"] == name)
    for _, _, data_ in graph.in_edges(call, data=True):
        derivative = data_["local_derivative"]
        if derivative is None:
            continue
        assert derivative.exact
        share = data_["downstream_gradient"].array
        np.testing.assert_allclose(derivative.pullback(upstream), share, rtol=1e-10, atol=1e-12)
        norm = float(np.linalg.norm(derivative.dense().ravel()))
        assert derivative.norm == pytest.approx(norm, abs=1e-12)


def test_a_square_jacobian_is_dense_unless_it_is_diagonal() -> None:
    w, x = spread(np.random.default_rng(0), (3, 3)), gn.array(np.ones(3))
    with gradtrace.trace(derivatives="exact") as graph:
        w @ x
        np.diag([1.0, 2.0, 3.0]) @ x
    found = edges(graph)
    np.testing.assert_array_equal(found["matmul.x2"].dense(), w)
    assert (found["matmul.x2"].structure, found["matmul_2.x2"].structure) == ("dense", "diagonal")


def test_fewer_columns_than_rows_come_from_the_pushforward() -> None:
    def wrong(tangent: Any, y: Any, x: Any) -> Any:
        return 7.0 * tangent

    stretch = gn.primitive(
        lambda u, y, x: u.sum(keepdims=True),
        pushforwards=[lambda t, y, x: np.repeat(t, 3)],
    )
    with gradtrace.trace(derivatives="exact") as graph:
        stretch(lambda x: np.repeat(x, 3))(gn.array([1.0]))
    (derivative,) = edges(graph).values()
    assert derivative.dense().tolist() == [[1.0], [1.0], [1.0]]
    faulty = gn.primitive(lambda u, y, x: u.sum(keepdims=True), pushforwards=[wrong])
    with gradtrace.trace(derivatives="exact", keep="all") as graph:
        np.sum(faulty(lambda x: np.repeat(x, 3))(gn.array([1.0]))).backward()
    assert not graph.check().ok
