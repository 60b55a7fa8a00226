"""Programs that ask autograd for more than one plain backward pass."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from tests.torch.cases import Program, case


class ScaledProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, factor: float, b: Tensor, unused: Tensor) -> Any:
        ctx.save_for_backward(a, b)
        ctx.factor = factor
        return a * b * factor, a + b

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        g, h = gradients
        a, b = ctx.saved_tensors
        return g * b * ctx.factor + h, None, g * a * ctx.factor + h, None


class Double(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x * 2

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return gradients[0] * 2


class AddOne(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.mark_dirty(x)
        return x.add_(1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return gradients[0]


@case()
def custom_function() -> Program:
    x = torch.randn(2, 3, requires_grad=True)
    return Program(lambda: Double.apply(x.tanh()).sum().backward(), leaves={"x": x})


@case()
def custom_function_of_several() -> Program:
    x = torch.randn(2, 3, requires_grad=True)

    def run() -> None:
        h = x.exp()
        y, z = ScaledProduct.apply(h, 2.0, h.tanh(), torch.ones(1))
        (y.sum() + z.pow(2).sum()).backward()

    return Program(run, leaves={"x": x})


@case()
def custom_function_in_place() -> Program:
    x = torch.randn(3, requires_grad=True)

    def run() -> None:
        y = x * 3
        AddOne.apply(y)
        y.pow(2).sum().backward()

    return Program(run, leaves={"x": x})


@case()
def two_backward_passes() -> Program:
    model, x = nn.Linear(3, 3), torch.randn(2, 3)

    def run() -> None:
        h = model(x).tanh()
        first, second = h.sum(), h.pow(2).sum()
        first.backward(retain_graph=True)
        second.backward()

    return Program(run, model)


@case()
def same_backward_twice() -> Program:
    model, x = nn.Linear(3, 3), torch.randn(2, 3)

    def run() -> None:
        loss = model(x).tanh().sum()
        loss.backward(retain_graph=True)
        loss.backward()

    return Program(run, model)


@case()
def accumulation() -> Program:
    model, xs = nn.Linear(3, 3), torch.randn(3, 2, 3)

    def run() -> None:
        for i in range(3):
            model(xs[i]).pow(2).sum().backward()

    return Program(run, model)


@case()
def seeds_given() -> Program:
    x = torch.randn(3, requires_grad=True)

    def run() -> None:
        y, z = x * 2, x.exp()
        torch.autograd.backward([y, z], [torch.arange(3.0), torch.ones(3)])

    return Program(run, leaves={"x": x})


@case()
def backward_to_some_inputs() -> Program:
    x, y = torch.randn(3, requires_grad=True), torch.randn(3, requires_grad=True)

    def run() -> None:
        (x * y).sum().backward(inputs=[x])

    return Program(run, leaves={"x": x, "y": y})


@case(gathers=False)
def gradients_returned() -> Program:
    x, w = torch.randn(3, requires_grad=True), torch.randn(3, requires_grad=True)

    def run() -> None:
        y = (x * w).tanh()
        torch.autograd.grad(y.sum(), [x, w, y])

    return Program(run)


@case()
def gradient_penalty() -> Program:
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    x = torch.randn(5, 3, requires_grad=True)

    def run() -> None:
        score = model(x)
        (slope,) = torch.autograd.grad(score.sum(), x, create_graph=True)
        (score.mean() + (slope.norm(dim=1) - 1).pow(2).mean()).backward()

    return Program(run, model, {"input": x})


@case(gathers=False)
def gradient_of_the_gradient() -> Program:
    x = torch.randn(3, requires_grad=True)

    def run() -> None:
        (first,) = torch.autograd.grad((x**3).sum(), x, create_graph=True)
        torch.autograd.grad(first.sum(), x)

    return Program(run)


@case()
def transforms() -> Program:
    w, x = torch.randn(3, requires_grad=True), torch.randn(4, 3)

    def run() -> None:
        rows = torch.func.vmap(lambda row: (row * w).sum().tanh())(x)
        slope = torch.func.grad(lambda v: (v**3).sum())(w)
        (rows.sum() + slope.sum()).backward()

    return Program(run, leaves={"w": w})


@case(unverifiable="mul")
def hook_on_a_tensor() -> Program:
    x = torch.randn(3, requires_grad=True)

    def run() -> None:
        h = x * 2
        h.register_hook(lambda gradient: gradient * 2)
        h.tanh().sum().backward()

    return Program(run, leaves={"x": x})


@case(unverifiable="x")
def hook_on_a_leaf() -> Program:
    x = torch.randn(3, requires_grad=True)
    x.register_hook(lambda gradient: gradient * 3)
    return Program(lambda: x.tanh().sum().backward(), leaves={"x": x})


@case()
def hook_that_only_looks() -> Program:
    x, seen = torch.randn(3, requires_grad=True), []
    x.register_post_accumulate_grad_hook(seen.append)
    return Program(lambda: x.tanh().sum().backward(), leaves={"x": x})


@case()
def retained_gradient() -> Program:
    x = torch.randn(3, requires_grad=True)

    def run() -> None:
        h = x * 2
        h.retain_grad()
        h.tanh().sum().backward()

    return Program(run, leaves={"x": x})


@case()
def gradients_there_before() -> Program:
    x = torch.randn(3, requires_grad=True)
    x.tanh().sum().backward()
    x.grad = None
    y = x.exp()
    return Program(lambda: (y * x).sum().backward(), leaves={"x": x})
