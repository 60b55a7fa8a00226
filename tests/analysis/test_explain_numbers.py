"""The numbers of an explanation are those of the chain rule."""

from __future__ import annotations

import time
from typing import Any

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import gradtrace
from gradtrace.graph import Graph
from tests.analysis.explained import number, residual, scalars
from tests.tapes import Run


def random_run(seed: int) -> Graph:
    """A random program of tanh, sums and products, in which values are used again and again."""
    draws = np.random.default_rng(seed)
    run = Run()
    values = [run.leaf(name, draws.normal(size=3)) for name in ("u", "v")]
    for _ in range(int(draws.integers(2, 7))):
        op = ("tanh", "add", "sub", "mul", "halve")[draws.integers(5)]
        chosen = [
            values[draws.integers(len(values))] for _ in range(1 if op in ("tanh", "halve") else 2)
        ]
        values.append(run.call(op, *chosen))
    run.backward(run.call("sum", values[-1]))
    return run.graph()


def test_the_factors_of_the_board_are_the_derivatives() -> None:
    explanation = scalars().explain("w1")
    z = 0.76 * 0.5 + 0.1
    h = 1 / (1 + np.exp(-z))
    y = -1.2 * h + 0.5
    expected = [2 * (y + 0.6129), -1.2, h * (1 - h), 0.5]

    np.testing.assert_allclose([factor.value for factor in explanation.factors], expected)
    assert explanation.value is not None
    np.testing.assert_allclose(np.prod(expected), explanation.value.mean)
    assert [str(factor.name) for factor in explanation.factors] == [
        "∂L/∂y", "∂y/∂h", "∂h/∂z", "∂z/∂w₁",
    ]  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10**6))
def test_paths_multiply_and_add_up(seed: int) -> None:
    graph = random_run(seed)
    output = list(graph)[-1]
    for leaf in ("u", "v"):
        if leaf not in graph:
            continue
        explanation = graph.explain(leaf, top=10**4)
        edges = list(nx.all_simple_edge_paths(graph, leaf, output))
        assert explanation.count == len(explanation.paths) == len(edges)
        if not edges:
            continue
        expected = [_product(graph, path) for path in edges]
        found = [path.contribution.array.ravel() for path in explanation.paths]
        order = np.lexsort(np.round(np.array(expected), 9).T)
        again = np.lexsort(np.round(np.array(found), 9).T)
        np.testing.assert_allclose(np.array(found)[again], np.array(expected)[order], atol=1e-12)
        upstream = graph.nodes[leaf]["upstream_gradient"].array
        np.testing.assert_allclose(np.sum(found, axis=0), upstream, atol=1e-12)
        if np.linalg.norm(upstream) > 1e-9:
            assert sum(path.share for path in explanation.paths) == pytest.approx(1.0)
        sizes = [np.linalg.norm(each) for each in found]
        assert sizes == sorted(sizes, reverse=True)


def _product(graph: Graph, path: list[Any]) -> np.ndarray[Any, Any]:
    """Multiply dense Jacobians along a path, from the output down."""
    row = np.ones((1, 1))
    for tail, head, key in reversed(path):
        jacobian = graph.edges[tail, head, key]["local_derivative"].dense()
        row = row @ jacobian.reshape(row.shape[1], -1)
    return row.ravel()


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10**6))
def test_what_is_not_shown_is_summed(seed: int) -> None:
    graph = random_run(seed)
    for leaf in {"u", "v"} & set(graph):
        shown, whole = graph.explain(leaf, top=1), graph.explain(leaf, top=10**4)
        assert shown.count == whole.count
        if shown.rest is None:
            assert whole.count < 2
            continue
        others = [path.contribution.array for path in whole.paths[1:]]
        np.testing.assert_allclose(shown.rest.contribution.array, np.sum(others, 0), atol=1e-12)
        assert shown.rest.count == len(others)
        assert f"{len(others):,} more path" in str(shown)


def test_the_gains_of_a_chain_multiply_to_the_norm() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3))
    with gradtrace.trace(model) as graph:
        classes = torch.tensor([0, 2, 1])
        nn.functional.cross_entropy(model(torch.randn(3, 4)), classes).backward()
    explanation = graph.explain("0.weight")
    gains = [factor.gain for factor in explanation.factors]

    weight = model[0].weight.grad
    assert weight is not None
    assert np.prod(gains) == pytest.approx(weight.norm().item(), rel=1e-5)
    assert "= ((softmax(y) − onehot(t))/n W₂ ⊙ relu'(z))ᵀ x" in str(explanation)
    assert "5×3 · 3×4" in str(explanation)


def test_matrix_formulas_evaluate_to_the_gradient() -> None:
    graph, _ = residual(blocks=1, keep="all", derivatives="exact")
    explanation = graph.explain("0.weight")
    skip = explanation.paths[0]
    assert skip.equation is not None
    assert str(skip.equation) == "((2/n) (y − t) W₄)ᵀ x"

    value = {str(m.symbol): graph.nodes[m.node]["value"].array for m in explanation.legend}
    residue = 2 / 6 * (value["y"] - value["t"])
    np.testing.assert_allclose(
        skip.contribution.array, (residue @ value["W₄"]).T @ value["x"], rtol=1e-9
    )


def test_shares_at_fan_outs_add_up_to_one() -> None:
    graph, _ = residual(blocks=3)
    explanation = graph.explain("0.weight", top=100)

    assert explanation.count == 8
    assert sum(path.share for path in explanation.paths) == pytest.approx(1.0)
    assert not any(path.exact for path in explanation.paths)
    assert all(path.contribution is None for path in explanation.paths)
    assert "by the shares at fan-outs" in str(explanation)
    assert "derivatives='exact'" in str(explanation)


def test_an_output_in_between() -> None:
    graph, _ = residual(keep="all", derivatives="exact")
    scalar = scalars()
    explanation = scalar.explain("w1", "sigmoid")
    h = 1 / (1 + np.exp(-0.48))
    assert explanation.value is not None
    assert explanation.value.mean == pytest.approx(h * (1 - h) * 0.5)

    part = graph.explain("0.weight", "1.add", top=100)  # all that comes back, comes by there
    assert part.value is not None
    np.testing.assert_allclose(
        part.value.array, graph.nodes["0.weight"]["upstream_gradient"].array, rtol=1e-9
    )
    branch = graph.explain("0.weight", "1.tanh")
    assert branch.count == 1
    assert branch.value is not None
    assert 0 < branch.value.norm < part.value.norm


def test_two_backward_passes_are_two_outputs() -> None:
    x = number(1.5, requires_grad=True)
    with gradtrace.trace(keep="all", derivatives="exact") as graph:
        first, second = x.exp(), x.sin()
        first.backward()
        second.backward()
    explanation = graph.explain("x")
    alone = graph.explain("x", "sin")

    assert explanation.count == 2
    assert explanation.output is None
    assert explanation.value.mean == pytest.approx(np.exp(1.5) + np.cos(1.5))
    assert alone.value.mean == pytest.approx(np.cos(1.5))


def test_a_graph_without_a_backward_pass() -> None:
    x = number(1.5, requires_grad=True)
    with gradtrace.trace(keep="all", derivatives="exact") as graph:
        (3 * x.exp()).sin()
    explanation = graph.explain("x")

    expected = np.cos(3 * np.exp(1.5)) * 3 * np.exp(1.5)
    assert explanation.paths[0].contribution.mean == pytest.approx(expected)
    assert explanation.value.mean == pytest.approx(expected)


def test_an_astronomical_number_of_paths() -> None:
    x = number(1.0, requires_grad=True)
    with gradtrace.trace() as graph:
        y = x
        for _ in range(100):
            y = (y + y) * 0.5
        y.backward()
    explanation = graph.explain("x", top=2)

    assert explanation.count == 2**100
    assert len(explanation.paths) == 2
    assert explanation.rest.count == 2**100 - 2
    assert explanation.paths[0].contribution.mean == pytest.approx(2.0**-100)


def test_5000_nodes_in_less_than_2_seconds() -> None:
    run = Run(keep="summary", derivatives="gain")
    x = value = run.leaf("x", np.ones(4))
    for _ in range(1250):
        value = run.call(
            "add", run.call("mul", run.call("tanh", value), x), run.call("halve", value)
        )
    run.backward(run.call("sum", value))
    graph = run.graph()
    assert len(graph) > 5000
    began = time.process_time()
    text = str(graph.explain("x"))
    elapsed = time.process_time() - began

    assert elapsed < 2
    assert len(text.splitlines()) < 120
