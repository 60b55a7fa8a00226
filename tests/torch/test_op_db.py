"""Local derivatives of every operator in PyTorch's own operator database."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

import gradtrace
from tests.torch.problems import EXCLUDED, name_of, op_db, samples, tensors

DIFFERENTIABLE = [
    op for op in op_db if op.supports_autograd and torch.float64 in op.supported_dtypes("cpu")
]

Matrix = npt.NDArray[np.float64]


def jacobian(result: Tensor, leaf: Tensor) -> Matrix:
    """Return ∂result/∂leaf as torch itself finds it, row by row."""
    rows = []
    for index in range(result.numel()):
        cotangent = torch.zeros(result.numel(), dtype=result.dtype)
        cotangent[index] = 1
        (row,) = torch.autograd.grad(
            result, leaf, cotangent.reshape(result.shape), retain_graph=True, allow_unused=True
        )
        rows.append(torch.zeros_like(leaf) if row is None else row)
    return torch.stack(rows).reshape(result.numel(), leaf.numel()).detach().numpy()


def traced_jacobians(graph: gradtrace.Graph, result: str) -> dict[str, Matrix]:
    """Return the product of the local derivatives from `result` back to each node."""
    found = {result: np.eye(graph.nodes[result]["value"].size)}
    for node in sorted(graph, key=lambda n: -graph.nodes[n]["order"]):
        for operand, _, edge in graph.in_edges(node, data=True):
            local = edge["local_derivative"]
            if node not in found or local is None:
                continue
            shape = math.prod(local.result_shape), math.prod(local.operand_shape)
            share = found[node] @ local.dense().reshape(shape)
            found[operand] = found[operand] + share if operand in found else share
    return found


def leaf_of(graph: gradtrace.Graph, leaf: Tensor) -> str | None:
    expected = leaf.detach().numpy()
    for node, data in graph.nodes(data=True):
        if data["kind"] in ("input", "parameter") and data["differentiable"]:
            array = data["value"].array
            if array.shape == expected.shape and np.array_equal(array, expected):
                return str(node)
    return None


@pytest.mark.parametrize("op", DIFFERENTIABLE, ids=name_of)
@pytest.mark.filterwarnings("ignore")
def test_product_of_local_derivatives_is_the_jacobian(op: Any) -> None:
    if name_of(op) in EXCLUDED:
        pytest.skip(EXCLUDED[name_of(op)])
    tried = 0
    for sample, leaves in samples(op, most=2):
        tried += 1
        torch.manual_seed(0)
        with gradtrace.trace(keep="all", derivatives="exact") as graph:
            made = op(sample.input, *sample.args, **sample.kwargs)
            results = [t for t in tensors(made) if t.requires_grad]
            seeds = [torch.full_like(t, i + 1.0) for i, t in enumerate(results)]
            torch.autograd.backward(results, seeds, retain_graph=True)
        assert not graph.check().failed
        seeded = {data["seed"].max: node for node, data in graph.nodes(data=True) if data["seed"]}
        for index, result in enumerate(results):
            traced = traced_jacobians(graph, seeded[index + 1.0])
            for leaf in leaves:
                expected = jacobian(result, leaf)
                node = leaf_of(graph, leaf)
                found = traced.get(node) if node else None
                found = np.zeros_like(expected) if found is None else found
                np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
    if not tried:
        pytest.skip("no small strided sample with a real derivative")
