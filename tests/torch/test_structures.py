"""Whether exact local derivatives come in their cheapest true structure."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

import gradtrace
from gradtrace import LocalDerivative
from gradtrace.errors import DerivativeError


def traced(run: Callable[..., Tensor], *operands: Tensor, **options: Any) -> gradtrace.Graph:
    options = {"keep": "all", "derivatives": "exact", **options}
    with gradtrace.trace(**options) as graph:
        run(*operands).sum().backward()
    assert not graph.check().failed
    return graph


def derivative(
    run: Callable[..., Tensor], *shapes: tuple[int, ...], operand: int = 0, **options: Any
) -> LocalDerivative:
    """Return the local derivative of the one call that `run` makes."""
    torch.manual_seed(0)
    operands = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]
    graph = traced(run, *operands, **options)
    call = next(node for node, data in graph.nodes(data=True) if data["kind"] == "call")
    edges = {key: edge for _, _, key, edge in graph.in_edges(call, keys=True, data=True)}
    found: LocalDerivative = edges[operand]["local_derivative"]
    return found


STRUCTURES: list[tuple[str, Callable[..., Tensor], list[tuple[int, ...]], int, str]] = [
    ("relu", torch.relu, [(3, 4)], 0, "diagonal"),
    ("tanh", torch.tanh, [(3, 4)], 0, "diagonal"),
    ("add", torch.add, [(3, 4), (3, 4)], 1, "identity"),
    ("subtract", torch.sub, [(3, 4), (3, 4)], 1, "scaled"),
    ("double", lambda x: x * 2, [(3, 4)], 0, "scaled"),
    ("negate", torch.neg, [(3, 4)], 0, "scaled"),
    ("multiply", torch.mul, [(3, 4), (3, 4)], 0, "diagonal"),
    ("reshape", lambda x: x.reshape(2, 6), [(3, 4)], 0, "identity"),
    ("view", lambda x: x.view(-1), [(3, 4)], 0, "identity"),
    ("clone", torch.clone, [(3, 4)], 0, "identity"),
    ("scalar", torch.exp, [()], 0, "scaled"),
    ("linear in its input", F.linear, [(2, 3), (4, 3), (4,)], 0, "dense"),
    ("linear in its weight", F.linear, [(2, 3), (4, 3), (4,)], 1, "dense"),
    ("linear in its bias", F.linear, [(2, 3), (4, 3), (4,)], 2, "dense"),
    ("matmul", torch.matmul, [(2, 3), (3, 4)], 1, "dense"),
    ("softmax", lambda x: x.softmax(1), [(2, 3)], 0, "dense"),
    ("transpose", torch.t, [(3, 4)], 0, "dense"),
    ("broadcast", torch.add, [(3, 4), (4,)], 1, "dense"),
    ("ones", lambda x: torch.clamp(x, -100, 100), [(3, 4)], 0, "identity"),
]

every_structure = pytest.mark.parametrize("row", STRUCTURES, ids=[row[0] for row in STRUCTURES])


@every_structure
def test_the_structure_is_the_cheapest_true_one(row: Any) -> None:
    _, run, shapes, operand, structure = row
    assert derivative(run, *shapes, operand=operand).structure == structure


@every_structure
def test_the_structure_stands_for_the_jacobian(row: Any) -> None:
    _, run, shapes, operand, _ = row
    found = derivative(run, *shapes, operand=operand)
    torch.manual_seed(0)
    operands = tuple(torch.randn(shape, dtype=torch.float64) for shape in shapes)
    jacobians = torch.autograd.functional.jacobian(run, operands)
    expected = jacobians[operand].numpy()
    np.testing.assert_allclose(found.dense(), expected, rtol=1e-12, atol=1e-12)
    assert found.norm == pytest.approx(np.linalg.norm(expected), rel=1e-12)
    upstream = np.random.default_rng(0).normal(size=found.result_shape)
    pulled = np.tensordot(upstream, expected, axes=upstream.ndim)
    np.testing.assert_allclose(found.pullback(upstream), pulled, rtol=1e-12, atol=1e-12)


def test_what_is_zero_says_so() -> None:
    found = derivative(torch.round, (3,))
    assert np.array_equal(found.dense(), np.zeros((3, 3)))
    assert found.norm == 0.0


def test_a_large_transpose_is_no_dense_matrix() -> None:
    found = derivative(torch.t, (2000, 30))
    assert found.structure != "dense"
    assert found.array is None or found.array.size <= 2000 * 30
    assert found.norm == pytest.approx(math.sqrt(2000 * 30), rel=0.1)


def test_large_elementwise_calls_stay_exact() -> None:
    found = derivative(torch.relu, (2000, 30))
    assert (found.structure, found.array.shape) == ("diagonal", (2000, 30))
    with pytest.raises(DerivativeError, match="over the limit of 1,048,576"):
        found.dense()


@pytest.mark.parametrize(("limit", "structure"), [(96, "dense"), (95, "operator"), (0, "operator")])
def test_the_limit_is_kept(limit: int, structure: str) -> None:
    """The Jacobian of a (2, 4) result by a (4, 3) weight has 96 elements."""
    found = derivative(F.linear, (2, 3), (4, 3), operand=1, limit=limit)
    assert found.structure == structure
    if structure == "operator":
        assert found.reason == f"it has 96 elements, over the limit of {limit}"
        assert found.estimated
        with pytest.raises(DerivativeError, match=rf"over the limit of {limit}.*larger limit="):
            found.dense()


def test_each_use_of_an_operand_has_its_own_derivative() -> None:
    x = torch.tensor([2.0, 3.0], requires_grad=True)
    graph = traced(lambda x: x * x, x)
    assert graph.number_of_edges("x", "mul") == 2
    for key, operand in ((0, "self"), (1, "other")):
        edge = graph.edges["x", "mul", key]
        assert edge["operand"] == operand
        assert edge["local_derivative"].array.tolist() == [2.0, 3.0]
        assert edge["downstream_gradient"].array.tolist() == [2.0, 3.0]
    assert graph.nodes["x"]["upstream_gradient"].array.tolist() == [4.0, 6.0]


def test_uses_of_one_operand_in_unlike_ways_are_told_apart() -> None:
    x = torch.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    graph = traced(lambda x: x @ x, x)
    first = graph.edges["x", "matmul", 0]["downstream_gradient"].array
    second = graph.edges["x", "matmul", 1]["downstream_gradient"].array
    assert first.tolist() == [[3.0, 7.0], [3.0, 7.0]]
    assert second.tolist() == [[4.0, 4.0], [6.0, 6.0]]


def test_several_results_count_as_one() -> None:
    x = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    with gradtrace.trace(keep="all", derivatives="exact") as graph:
        first, second = x.split([1, 3])
        (first.sum() + second.pow(2).sum()).backward()
    found = graph.edges["x", "split", 0]["local_derivative"]
    assert (found.result_shape, found.operand_shape) == ((12,), (4, 3))
    np.testing.assert_array_equal(found.dense().reshape(12, 12), np.eye(12))
    assert not graph.check().failed
    assert graph.nodes["split"]["upstream_gradient"][0].shape == (1, 3)


def test_a_custom_function_has_the_derivative_it_claims() -> None:
    """Not the true one: what is recorded is what backward does, right or wrong."""

    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return x * 2

        @staticmethod
        def backward(ctx: Any, *gradients: Tensor) -> Any:
            return gradients[0] * 3

    x = torch.ones(2, requires_grad=True)
    graph = traced(Wrong.apply, x)
    found = graph.edges["input", "Wrong", 0]["local_derivative"]
    assert (found.structure, float(found.array)) == ("scaled", 3.0)


def test_derivatives_without_a_backward_pass_are_there_without_gains() -> None:
    x = torch.ones(2, requires_grad=True)
    with gradtrace.trace(derivatives="exact") as graph:
        x.exp()
    found = graph.edges["x", "exp", 0]["local_derivative"]
    assert (found.structure, found.gain) == ("scaled", None)
    assert graph.edges["x", "exp", 0]["downstream_gradient"] is None
