"""Differences of each call's own function find the one whose backward is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

import gradtrace
from tests.torch.architectures import ARCHITECTURES


def scaled_function(
    error: float, *, forward: Callable[..., Tensor], slope: Callable[..., Tensor]
) -> Any:
    """A custom function whose backward is wrong by the factor `error`."""

    class Planted(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor, power: float) -> Tensor:
            ctx.save_for_backward(x)
            return forward(x)

        @staticmethod
        def backward(ctx: Any, gradient: Tensor) -> Any:
            (x,) = ctx.saved_tensors
            return gradient * slope(x) * error, None

    return Planted


FUNCTIONS = {
    "exp": (torch.exp, torch.exp),
    "square": (torch.square, lambda x: 2 * x),
    "sine": (torch.sin, torch.cos),
}


class Block(nn.Module):
    """Attention with a custom function deep inside."""

    def __init__(self, planted: Any, width: int = 16) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.planted = planted

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(self.norm(x)).chunk(3, -1)
        mixed = functional.scaled_dot_product_attention(q, k, v)
        return x + self.out(self.planted.apply(mixed, 1.0))


def traced(model: nn.Module, *inputs: Tensor, **options: Any) -> gradtrace.Graph:
    with gradtrace.trace(model, keep="all", **options) as graph:
        out = model(*inputs)
        out.square().mean().backward()
    return graph


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_one_wrong_backward_is_named_and_no_other(name: str, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    forward, slope = FUNCTIONS[name]
    for error, expected in ((1.0, []), (1.01, ["1.Planted"]), (-1.0, ["1.Planted"])):
        planted = scaled_function(error, forward=forward, slope=slope)
        right = scaled_function(1.0, forward=forward, slope=slope)
        model = nn.Sequential(Block(right), Block(planted), Block(right)).to(dtype)
        graph = traced(model, torch.randn(2, 5, 16, dtype=dtype))
        assert not graph.check().failed  # the chain rule itself holds
        check = graph.check(numeric=True)
        assert [verdict.node for verdict in check.failed] == expected, str(check)
        if expected:
            (failed,) = check.failed
            assert failed.reason.startswith("backward gives ")
            assert "for x" in failed.reason
            assert failed.source is not None
            assert failed.source.file == __file__
            assert failed.error == pytest.approx(abs(error - 1), rel=0.9)


def test_an_apply_that_was_taken_before_the_trace_is_differenced_too() -> None:
    forward, slope = FUNCTIONS["square"]
    apply = scaled_function(1.5, forward=forward, slope=slope).apply
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)).double()
    model[0].register_module("inner", nn.Linear(4, 4).double())
    model[0].forward = lambda x: apply(model[0].inner(x), 1.0)
    graph = traced(model, torch.randn(2, 4, dtype=torch.float64))
    assert [each.node for each in graph.check(numeric=True).failed] == ["0.Planted"]


def test_only_the_wrong_operand_is_blamed() -> None:
    class Product(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, left: Tensor, right: Tensor) -> Tensor:
            ctx.save_for_backward(left, right)
            return left * right

        @staticmethod
        def backward(ctx: Any, gradient: Tensor) -> Any:
            left, right = ctx.saved_tensors
            return gradient * right, gradient * left + 0.1

    a, b = (torch.randn(3, dtype=torch.float64, requires_grad=True) for _ in range(2))
    with gradtrace.trace(keep="all") as graph:
        Product.apply(a, b).sum().backward()
    (failed,) = graph.check(numeric=True).failed
    assert failed.node == "Product"
    assert "for right[" in failed.reason


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")
@pytest.mark.parametrize(
    ("program", "why"),
    [
        (lambda x: functional.relu(x * 0), "a kink or a jump"),
        (lambda x: torch.amax(x * 0), "a kink or a jump"),
        (lambda x: (x * 0).abs(), "a kink or a jump"),
        (lambda x: torch.jit.script(functional.silu)(x), "run again"),
    ],
)
def test_what_cannot_be_differenced_is_unverifiable(program: Any, why: str) -> None:
    x = torch.randn(4, dtype=torch.float64, requires_grad=True)
    with gradtrace.trace(keep="all") as graph:
        program(x).sum().backward()
    check = graph.check(numeric=True)
    assert check.ok
    assert any(why in verdict.reason for verdict in check.unverifiable), str(check)


def test_kinks_at_many_zeros_do_not_hide_a_wrong_backward() -> None:
    planted = scaled_function(1.02, forward=torch.relu, slope=lambda x: (x > 0).to(x.dtype))
    right = scaled_function(1.0, forward=torch.relu, slope=lambda x: (x > 0).to(x.dtype))
    torch.manual_seed(0)
    for function, expected in ((planted, "fail"), (right, "unverifiable")):
        x = torch.randn(20_000).relu().requires_grad_()
        with gradtrace.trace(keep="all") as graph:
            (1 + function.apply(x, 1.0)).square().mean().backward()
        verdicts = {each.node: each for each in graph.check(numeric=True)}
        assert verdicts["Planted"].verdict == expected, verdicts["Planted"]


def test_calls_that_autograd_made_out_of_sight_say_so() -> None:
    layer, x = nn.Linear(3, 1), torch.randn(2, 3, requires_grad=True)
    with gradtrace.trace(layer, keep="all") as graph:
        (slope,) = torch.autograd.grad(layer(x).tanh().sum(), x, create_graph=True)
        slope.square().sum().backward()
    reasons = {each.reason for each in graph.check(numeric=True).unverifiable}
    assert any("in a backward pass" in str(reason) for reason in reasons)


def test_random_calls_are_run_again_with_their_random_state() -> None:
    torch.manual_seed(3)
    x = torch.randn(50, requires_grad=True)
    with gradtrace.trace(keep="all") as graph:
        functional.dropout(x, 0.4).square().sum().backward()
    before = torch.get_rng_state()
    verdicts = {verdict.node: verdict for verdict in graph.check(numeric=True)}
    assert verdicts["dropout"].verdict == "pass", verdicts["dropout"]
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("keep", ["summary", "small"])
def test_a_graph_that_kept_no_functions_says_so(keep: str, tmp_path: Any) -> None:
    x = torch.randn(4, requires_grad=True)
    with gradtrace.trace(keep=keep) as graph:
        torch.exp(x).sum().backward()
    for each in (graph, gradtrace.load(graph.save(tmp_path / "x.gradtrace"))):
        check = each.check(numeric=True)
        assert check.ok
        assert len(check.unverifiable) == 2
        assert "keep='all'" in check.unverifiable[0].reason


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gpt2", "bert", "t5", "vit", "resnet", "mixtral"])
def test_healthy_architectures_have_no_wrong_backward(name: str) -> None:
    torch.manual_seed(0)
    make, loss = ARCHITECTURES[name]
    model = make()
    with gradtrace.trace(model, keep="all") as graph:
        loss(model).backward()
    check = graph.check(numeric=True)
    assert check.ok, str(check)
    reached = [node for node, data in graph.nodes(data=True) if data["upstream_gradient"]]
    assert len(check.passed) > 0.9 * len(reached), str(check)


def test_checkpointed_and_in_place_calls_are_not_blamed() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(4, 4).double()
    x = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    with gradtrace.trace(layer, keep="all") as graph:
        h = checkpoint(lambda v: torch.tanh(layer(v)), x, use_reentrant=False)
        y = h.clone()
        y[:, 0] = y[:, 1].exp()
        y.mul_(2).add_(x)
        torch.logsumexp(y, 1).sum().backward()
    check = graph.check(numeric=True)
    assert check.ok, str(check)
    assert {"tanh", "exp", "logsumexp"} <= {verdict.node for verdict in check.passed}, str(check)
