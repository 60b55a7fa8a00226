"""Whether a trace holds, or says what it cannot know, where programs do what few programs do."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import gradtrace
from tests.torch.test_hard_cases import every_option

pytestmark = pytest.mark.filterwarnings("ignore:Lazy modules are a new feature")


class Doubling(torch.autograd.Function):
    """Runs a backward pass inside its own, through what it recorded in its forward."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: nn.Module, adds: bool) -> Tensor:
        with torch.enable_grad():
            ctx.inner, ctx.adds = x.detach().requires_grad_(), adds
            ctx.result = layer(ctx.inner).tanh()
        return ctx.result.detach()

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        if ctx.adds:
            torch.autograd.backward(ctx.result, gradients[0])
            return ctx.inner.grad, None, None
        return *torch.autograd.grad(ctx.result, ctx.inner, gradients[0]), None, None


class Fussy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.expected = x.shape
        return x * 2

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        if not (gradients[0] == 1).all():
            raise ValueError("I am only ever summed")
        return gradients[0] * 2


def equilibrium(layer: nn.Module, x: Tensor, times: int) -> Tensor:
    """Return a fixed point whose backward iterates, in a hook, through a call of its own."""
    with torch.no_grad():
        z = torch.zeros_like(x)
        for _ in range(times):
            z = torch.tanh(0.5 * layer(z) + x)
    z = torch.tanh(0.5 * layer(z) + x)
    start = z.detach().requires_grad_()
    again = torch.tanh(0.5 * layer(start) + x)

    def solve(gradient: Tensor) -> Tensor:
        found = gradient
        for _ in range(times):
            (step,) = torch.autograd.grad(again, start, found, retain_graph=True)
            found = step + gradient
        return found

    z.register_hook(solve)
    return z


def in_a_thread(loss: Tensor) -> None:
    thread = threading.Thread(target=loss.backward)
    thread.start()
    thread.join()


def balanced(layer: nn.Module, x: Tensor) -> None:
    """Weigh two losses by the norms of their gradients, with one pass for the bias alone."""
    h = layer(x)
    first, second = h.sin().sum(), h.exp().mean()
    weight = layer.weight
    norms = [
        torch.autograd.grad(loss, weight, retain_graph=True)[0].norm() for loss in (first, second)
    ]
    (first / norms[0] + second / norms[1]).backward(retain_graph=True)
    first.backward(inputs=[layer.bias])


def changed_by_modules(layer: nn.Module, x: Tensor) -> None:
    model = nn.Sequential(layer, nn.Tanh())
    model[1].register_full_backward_hook(lambda module, inner, outer: (inner[0] * 2,))
    model[1].register_full_backward_pre_hook(lambda module, outer: (outer[0] * 0.5,))
    model(x).pow(2).sum().backward()


def changed_at_a_node(layer: nn.Module, x: Tensor) -> None:
    h = layer(x)
    y = h.exp()
    y.grad_fn.register_hook(lambda inner, outer: (inner[0] * 2,))  # type: ignore[union-attr]
    y.tanh().sum().backward()


def of_escaped_tensors(layer: nn.Module, x: Tensor) -> None:
    y, pullback = torch.func.vjp(lambda v: layer(v).sin(), x)
    (pullback(torch.ones_like(y))[0].pow(2).sum() + y.sum()).backward()


def jagged(layer: nn.Module, x: Tensor) -> None:
    nested = torch.nested.nested_tensor([x, x[:1]], layout=torch.jagged)
    layer(nested).relu().values().pow(2).sum().backward()


def nested(layer: nn.Module, x: Tensor) -> None:
    both = torch.nested.nested_tensor([x, x[:1]])
    torch.nested.to_padded_tensor(layer(both), 0.0).pow(2).sum().backward()


PROGRAMS: dict[str, Callable[[Any, Tensor], object]] = {
    "grad in a function": lambda m, x: Doubling.apply(m(x), m, False).pow(2).sum().backward(),
    "backward in a function": lambda m, x: Doubling.apply(m(x), m, True).pow(2).sum().backward(),
    "equilibrium": lambda m, x: equilibrium(m, x, 5).pow(2).sum().backward(),
    "equilibrium of one step": lambda m, x: equilibrium(m, x, 1).pow(2).sum().backward(),
    "backward in a thread": lambda m, x: in_a_thread(m(x).tanh().sum()),
    "passes to some operands": balanced,
    "hooks of modules": changed_by_modules,
    "hook at a node": changed_at_a_node,
    "tensors out of a transform": of_escaped_tensors,
    "jagged tensors": jagged,
    "nested tensors": nested,
    "a fussy backward": lambda m, x: Fussy.apply(m(x)).sum().backward(),
}


def run(name: str, **options: Any) -> tuple[nn.Module, gradtrace.Graph | None]:
    torch.manual_seed(0)
    layer, x = nn.Linear(3, 3), torch.randn(2, 3)
    if not options:
        PROGRAMS[name](layer, x)
        return layer, None
    with gradtrace.trace(layer, **options) as graph:
        PROGRAMS[name](layer, x)
    return layer, graph


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors is in prototype")
@every_option
@pytest.mark.parametrize("name", PROGRAMS)
def test_no_verdict_is_wrong_and_no_gradient_another(name: str, options: dict[str, str]) -> None:
    plain, _ = run(name)
    layer, graph = run(name, **{"keep": "summary", **options})
    assert graph is not None
    assert not graph.check().failed, str(graph.check())
    for parameter, traced in layer.named_parameters():
        expected = plain.get_parameter(parameter).grad
        assert expected is not None
        assert torch.equal(traced.grad, expected)  # type: ignore[arg-type]
        upstream = graph.nodes[parameter]["upstream_gradient"]
        assert upstream.norm == pytest.approx(expected.double().norm().item(), rel=1e-5)
        if upstream.array is not None:
            np.testing.assert_array_equal(upstream.array, expected.numpy())


@pytest.mark.parametrize("name", ["hooks of modules", "hook at a node", "passes to some operands"])
def test_differences_judge_nothing_that_the_record_cannot(name: str) -> None:
    _, graph = run(name, keep="all", derivatives="exact")
    assert graph is not None
    assert not graph.check(numeric=True).failed


def test_hooks_that_only_look_leave_everything_verified() -> None:
    model, seen = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 1)), []
    for module in model:
        module.register_full_backward_hook(lambda *given: seen.append(given))
    with gradtrace.trace(model, keep="all", derivatives="exact") as graph:
        model(torch.randn(2, 3, requires_grad=True)).sum().backward()
    assert len(seen) == 3
    assert graph.check().ok
    assert {verdict.node for verdict in graph.check().unverifiable} == {"input"}


@every_option
def test_lazy_modules(options: dict[str, str]) -> None:
    model = nn.Sequential(nn.LazyLinear(3), nn.LazyBatchNorm1d())
    with gradtrace.trace(model, **options) as graph:
        model(torch.randn(4, 5)).pow(2).sum().backward()
    assert not graph.check().failed
    for name, parameter in model.named_parameters():
        upstream = graph.nodes[name]["upstream_gradient"]
        assert upstream.shape == tuple(parameter.shape)
        assert upstream.norm == pytest.approx(parameter.grad.double().norm().item(), rel=1e-5)
        assert graph.nodes[name]["value"].norm == pytest.approx(parameter.norm().item())


def test_a_backward_that_is_not_that_of_what_was_drawn_is_no_mistake() -> None:
    x = (torch.rand(3, dtype=torch.float64) + 1).requires_grad_()
    sparse = torch.eye(3, dtype=torch.float64).to_sparse().requires_grad_()
    with gradtrace.trace(keep="all") as graph:
        drawn = torch.distributions.Gamma(x, torch.ones_like(x)).rsample()
        share = torch.distributions.Dirichlet(x).rsample()
        (drawn.sum() + share.pow(2).sum() + torch.sparse.mm(sparse, x[:, None]).sum()).backward()
    check = graph.check(numeric=True)
    assert not check.failed, str(check)
    reasons = {verdict.node: verdict.reason for verdict in check.unverifiable}
    assert "drew" in str(reasons["standard_gamma"])
    assert "drew" in str(reasons["_Dirichlet"])
    assert "does not store" in str(reasons["sparse_mm"])


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_of_a_cond_the_branch_that_is_taken(sign: float) -> None:
    def run(x: Tensor) -> None:
        y = torch.cond(x.sum() > 0, torch.sin, lambda x: torch.cos(x).mul(2.0), (x,))
        y.sum().backward()

    x = torch.full((4,), sign, requires_grad=True)
    run(x)
    assert x.grad is not None
    expected, x.grad = x.grad, None
    with gradtrace.trace() as graph:
        run(x)
    assert torch.equal(x.grad, expected)
    assert not graph.check().failed
    assert ("sin" in graph) == (sign > 0)
    assert ("cos" in graph) == (sign < 0)


def test_a_cond_before_the_compiler_is_imported_says_what_to_do() -> None:
    program = """if True:
        import torch, gradtrace
        try:
            with gradtrace.trace():
                torch.cond(torch.tensor(True), torch.sin, torch.cos, (torch.ones(2),))
        except RuntimeError as error:
            print(*error.__notes__)
    """
    command = [sys.executable, "-W", "ignore", "-c", program]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "write `import torch._dynamo` above it, or a plain `if`" in said
