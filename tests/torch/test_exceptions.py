"""What a trace leaves when the block raises: nothing in the process, and a graph of what ran."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import gradtrace
from tests.torch.cases import Program
from tests.torch.test_hard_cases import OPTIONS
from tests.torch.test_untouched import global_state, state_of


class StopError(Exception):
    """Raised by the user's own code."""


class Refusing(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x * 2

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        raise StopError("in backward")


class Layers(nn.Module):
    """Two layers, the second of which may raise."""

    def __init__(self, where: str) -> None:
        super().__init__()
        self.first = nn.Linear(3, 3)
        self.second = Raising(where)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x))


class Raising(nn.Module):
    def __init__(self, where: str) -> None:
        super().__init__()
        self.inner = nn.Linear(3, 3)
        self.where = where

    def forward(self, x: Tensor) -> Tensor:
        y = self.inner(x)
        if self.where == "module":
            raise StopError("in a module")
        if self.where == "operation":
            return y @ torch.ones(7, 7)
        return Refusing.apply(y) if self.where == "backward" else y.tanh()


class RaisingOptimizer(torch.optim.SGD):
    def step(self, closure: Any = None) -> Any:
        super().step(closure)
        raise StopError("in the optimizer")


def in_the_block(model: nn.Module, x: Tensor) -> None:
    model(x)
    raise StopError("in the block")


def in_an_optimizer(model: nn.Module, x: Tensor) -> None:
    model(x).sum().backward()
    RaisingOptimizer(model.parameters(), lr=0.1).step()


def in_a_hook(model: nn.Module, x: Tensor) -> None:
    def hook(gradient: Tensor) -> None:
        raise StopError("in a hook")

    y = model(x)
    y.register_hook(hook)
    y.sum().backward()


def in_a_second_backward(model: nn.Module, x: Tensor) -> None:
    loss = model(x).sum()
    loss.backward()
    loss.backward()


def all_the_way(model: nn.Module, x: Tensor) -> None:
    model(x).sum().backward()


LAYERS = ["x", "first.weight", "first.bias", "first.linear"]
INNER = [*LAYERS, "second.inner.weight", "second.inner.bias", "second.inner.linear"]

STAGES: dict[str, tuple[str, Callable[[nn.Module, Tensor], None], list[str]]] = {
    "operation": ("operation", all_the_way, INNER),
    "module": ("module", all_the_way, INNER),
    "backward": ("backward", all_the_way, [*INNER, "second.Refusing", "sum"]),
    "block": ("", in_the_block, [*INNER, "second.tanh"]),
    "optimizer": ("", in_an_optimizer, [*INNER, "second.tanh", "sum"]),
    "hook": ("", in_a_hook, [*INNER, "second.tanh", "sum"]),
    "second backward": ("", in_a_second_backward, [*INNER, "second.tanh", "sum"]),
}

every_stage = pytest.mark.parametrize("stage", STAGES)
every_option = pytest.mark.parametrize("options", OPTIONS.values(), ids=list(OPTIONS))


def interrupted(stage: str, **options: Any) -> tuple[gradtrace.Graph, Layers]:
    torch.manual_seed(0)
    where, run, _ = STAGES[stage]
    model, x = Layers(where), torch.randn(2, 3)
    with (
        pytest.raises((StopError, RuntimeError)) as caught,
        gradtrace.trace(model, **options) as graph,
    ):
        run(model, x)
    assert isinstance(caught.value, StopError) or stage in ("operation", "second backward")
    return graph, model


@every_option
@every_stage
def test_nothing_is_left_behind(stage: str, options: dict[str, str]) -> None:
    torch.manual_seed(0)
    fresh = state_of(Program(lambda: None, Layers(STAGES[stage][0])))
    before = global_state()
    _, model = interrupted(stage, **options)
    assert global_state() == before
    after = state_of(Program(lambda: None, model))
    for name, state in fresh.items():
        if name.startswith("module"):
            assert after[name][0] == state[0], name
            assert {k: len(v) for k, v in after[name][1].items()} == {
                k: len(v) for k, v in state[1].items()
            }, name
        else:
            assert (after[name][0], not after[name][1], not after[name][2]) == ({}, True, True), (
                name
            )


@every_stage
def test_the_graph_holds_what_ran(stage: str) -> None:
    graph, _ = interrupted(stage)
    assert list(graph) == STAGES[stage][2]
    assert not graph.check().failed


@every_option
@every_stage
def test_the_next_trace_is_whole(stage: str, options: dict[str, str]) -> None:
    graph, _ = interrupted(stage, **options)
    assert len(graph) > 1
    model = Layers("")
    with gradtrace.trace(model, **options) as again:
        model(torch.randn(2, 3)).sum().backward()
    assert not again.check().failed
    for name, parameter in model.named_parameters():
        (node,) = (data for data in again.nodes.values() if name in data["names"])
        assert node["upstream_gradient"].norm == pytest.approx(parameter.grad.norm().item())


def test_what_the_failing_backward_reached_has_its_gradient() -> None:
    graph, model = interrupted("backward", keep="all")
    assert graph.nodes["sum"]["upstream_gradient"].array == 1.0
    assert graph.nodes["second.inner.linear"]["upstream_gradient"] is None
    assert graph.nodes["first.weight"]["upstream_gradient"] is None
    assert [parameter.grad for parameter in model.parameters()] == [None] * 4


def test_the_first_of_two_backwards_stays_in_the_graph() -> None:
    graph, model = interrupted("second backward", keep="all")
    upstream = graph.nodes["first.weight"]["upstream_gradient"].array
    assert (upstream == model.first.weight.grad.numpy()).all()


def test_a_module_that_raises_and_is_caught_leaves_the_scope() -> None:
    model = Layers("module")
    with gradtrace.trace(model) as graph:
        with pytest.raises(StopError):
            model(torch.randn(2, 3))
        model.first(torch.randn(2, 3)).tanh().sum().backward()
    assert [n for n, d in graph.nodes(data=True) if d["kind"] == "call"] == [
        *("first.linear", "second.inner.linear", "first.linear_2", "tanh", "sum")
    ]


def test_an_optimizer_that_raises_and_is_caught_is_not_looked_away_from_for_ever() -> None:
    model, x = nn.Linear(3, 3), torch.randn(2, 3)
    with gradtrace.trace(model) as graph:
        with pytest.raises(StopError):
            in_an_optimizer(model, x)
        model(x).tanh().sum().backward()
    assert "tanh" in graph
