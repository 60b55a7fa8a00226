"""Norms of matrix products, known in closed form, against the exact Jacobians."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional

import gradtrace

A, B, C = (3, 4), (4, 5), (5,)

PRODUCTS: dict[str, tuple[Callable[..., Tensor], list[tuple[int, ...]]]] = {
    "mm": (torch.mm, [A, B]),
    "addmm": (lambda c, a, b: torch.addmm(c, a, b, alpha=-2, beta=0.5), [C, A, B]),
    "addmm of one bias": (torch.addmm, [(1,), A, B]),
    "bmm": (torch.bmm, [(2, *A), (2, *B)]),
    "matmul of batches": (torch.matmul, [(2, *A), (2, *B)]),
    "linear": (functional.linear, [A, (5, 4), C]),
    "linear in three dimensions": (functional.linear, [(2, *A), (5, 4), C]),
    "linear without bias": (functional.linear, [(2, *A), (5, 4)]),
    "linear of a vector": (functional.linear, [(4,), (5, 4), C]),
    "matmul with itself": (lambda a: a @ a.mT, [A]),
    "matmul that broadcasts": (torch.matmul, [(2, *A), B]),
}


@pytest.mark.parametrize("name", PRODUCTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_norms_of_products_are_those_of_the_jacobians(name: str, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    function, shapes = PRODUCTS[name]
    operands = [torch.randn(shape, dtype=dtype, requires_grad=True) for shape in shapes]
    norms = []
    for derivatives in ("norm", "exact"):
        with gradtrace.trace(derivatives=derivatives) as graph:
            function(*operands).sum().backward()
        edges = graph.edges(keys=True, data="local_derivative")
        norms.append({edge[:3]: edge[3] for edge in edges if "sum" not in edge[1]})
    estimated, exact = norms
    assert estimated.keys() == exact.keys()
    for edge, derivative in estimated.items():
        if not derivative.estimated:
            tolerance = 1e-2 if dtype is torch.bfloat16 else 1e-5
            assert derivative.norm == pytest.approx(exact[edge].norm, rel=tolerance), edge
    closed = not any(derivative.estimated for derivative in estimated.values())
    assert closed == (name not in ("matmul of batches", "matmul with itself")), estimated


def test_frozen_factors_do_no_harm() -> None:
    x, w = torch.randn(3, 4), torch.randn(5, 4, requires_grad=True)
    with gradtrace.trace(derivatives="norm") as graph:
        functional.linear(x, w).sum().backward()
    derivative = graph.edges["w", "linear", 1]["local_derivative"]
    assert derivative.norm == pytest.approx(5**0.5 * float(x.norm()), rel=1e-5)
