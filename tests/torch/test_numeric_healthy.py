"""Differences blame no healthy call, and take no longer for a large one than they must."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import gradtrace


def test_kinks_that_lie_near_are_not_gone_across() -> None:
    torch.manual_seed(0)
    x = torch.randn(4, 16, 64, 64, requires_grad=True)
    with gradtrace.trace(keep="all") as graph:
        functional.max_pool2d(x, 2).square().mean().backward()
    verdicts = {each.node: each for each in graph.check(numeric=True)}
    assert verdicts["max_pool2d"].verdict == "pass", verdicts["max_pool2d"]


@pytest.mark.parametrize("lowest", [-1e4, -1e9])
def test_elements_beside_those_of_a_mask_are_moved_a_little(lowest: float) -> None:
    torch.manual_seed(0)
    x = torch.randn(16, 32, requires_grad=True)
    mask = torch.eye(16, 32).bool()
    with gradtrace.trace(keep="all") as graph:
        scores = (10 * x).masked_fill(mask, lowest)
        functional.cross_entropy(scores, torch.arange(16) + 16).backward()
    verdicts = {each.node: each for each in graph.check(numeric=True)}
    assert verdicts["cross_entropy"].verdict == "pass", verdicts["cross_entropy"]


def ctc(x: Tensor) -> Tensor:
    lengths = torch.full((2,), 8), torch.full((2,), 3)
    return functional.ctc_loss(x.log_softmax(-1), torch.randint(1, 5, (2, 3)), *lengths)


@pytest.mark.parametrize(
    ("run", "node"),
    [
        (ctc, "ctc_loss"),
        (lambda x: functional.gumbel_softmax(x, hard=True)[..., 0].sum(), "gumbel_softmax"),
        (
            lambda x: torch.fake_quantize_per_tensor_affine(x, 0.1, 0, -128, 127).sum(),
            "fake_quantize_per_tensor_affine",
        ),
        (lambda x: functional.embedding(torch.arange(2), x[0], max_norm=0.1).sum(), "embedding"),
        (lambda x: torch.linalg.cholesky(x[0] @ x[0].T + torch.eye(2)).sum(), "linalg_cholesky"),
        (lambda x: torch.linalg.eigh(x[0] @ x[0].T)[0].square().sum(), "linalg_eigh"),
    ],
)
def test_a_backward_that_is_no_derivative_by_design_is_not_blamed(run: Any, node: str) -> None:
    torch.manual_seed(0)
    x = torch.randn(8, 2, 5, requires_grad=True)
    with gradtrace.trace(keep="all") as graph:
        run(x).backward()
    check = graph.check(numeric=True)
    assert check.ok, str(check)
    (verdict,) = (each for each in check.unverifiable if each.node == node)
    assert "its backward " in verdict.reason


def test_the_cost_of_a_large_call_is_bounded() -> None:
    runs = []

    class Counted(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor, bias: Tensor) -> Tensor:
            runs.append(1)
            return x + bias

        @staticmethod
        def backward(ctx: Any, gradient: Tensor) -> Any:
            return gradient, gradient.sum((0, 1))

    bias = torch.zeros(64, requires_grad=True)
    with gradtrace.trace(keep="all") as graph:
        Counted.apply(torch.randn(64, 64, 64), bias).square().mean().backward()
    assert graph.check(numeric=True).ok
    assert len(runs) < 20


@pytest.mark.parametrize(
    "run",
    [
        lambda x: functional.softmax(x, -1, dtype=torch.float32)[:, 0].sum(),
        lambda x: x.float().exp().sum(),
        lambda x: x.to(torch.float32).exp().sum(),
        lambda x: x.half().float().exp().sum(),
    ],
)
def test_calls_that_cast_are_differenced_too(run: Any) -> None:
    torch.manual_seed(0)
    x = torch.randn(16, 16, dtype=torch.float64, requires_grad=True)
    with gradtrace.trace(keep="all") as graph:
        run(x).backward()
    check = graph.check(numeric=True)
    assert check.ok, str(check)
    assert not check.unverifiable, str(check)


def test_what_is_rounding_beside_the_rest_of_a_gradient_is_not_blamed() -> None:
    torch.manual_seed(0)
    attention, x = nn.MultiheadAttention(8, 2, dropout=0.3), torch.randn(4, 2, 8)
    with gradtrace.trace(attention, keep="all") as graph:
        attention(x, x, x)[0].square().sum().backward()  # keys do not need their bias
    check = graph.check(numeric=True)
    assert check.ok, str(check)
