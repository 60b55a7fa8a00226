"""Two runs of PyTorch: a change, another precision, another seed, a port, another engine."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

import gradtrace
from gradtrace.graph import Graph
from tests.analysis.faults import Transformer, put, traced
from tests.tapes import Run

X = torch.randn(4, 6, 8, generator=torch.Generator().manual_seed(0))
Y = torch.tensor([0, 1, 2, 3])


def trace(model: nn.Module, x: Tensor = X, **options: Any) -> Graph:
    graph = traced(model, lambda: F.cross_entropy(model(x).float(), Y), **options)
    model.zero_grad()
    return graph


def transformer(seed: int = 0) -> Transformer:
    torch.manual_seed(seed)
    return Transformer()


@pytest.mark.parametrize("keep", ["summary", "all"])
def test_twice_the_same(keep: str) -> None:
    model = transformer()
    found = trace(model, keep=keep).diff(trace(model, keep=keep))
    assert found.same, str(found)


def test_a_changed_weight_deep_inside() -> None:
    one = transformer()
    other = copy.deepcopy(one)
    with torch.no_grad():
        other.blocks[1].fc1.weight[3, 2] += 0.1
    found = trace(one).diff(trace(other))
    assert found.first_value is not None
    assert found.first_value.a == "blocks.1.fc1.weight"
    assert not any(row.value_parts for row in found.rows if row.a.startswith("blocks.0"))


def test_a_wrong_backward_parts_backward_only() -> None:
    class Doubled(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return x * 1

        @staticmethod
        def backward(ctx: Any, *gradients: Tensor) -> Any:
            return gradients[0] * 2

    class Plain(Doubled):
        @staticmethod
        def backward(ctx: Any, *gradients: Tensor) -> Any:
            return gradients[0]

    graphs = []
    for function in (Plain, Doubled):
        model = transformer()
        put("on_hidden", lambda x, f=function: f.apply(x) + 0)(model.blocks[1])
        graphs.append(trace(model, keep="all"))
    found = graphs[0].diff(graphs[1])
    assert found.first_value is None
    assert found.first_gradient is not None
    assert found.first_gradient.a == "blocks.1.relu"


def test_two_seeds() -> None:
    found = trace(transformer(0)).diff(trace(transformer(1)))
    assert not found.only_in_a
    assert not found.only_in_b
    assert found.first_value is not None
    assert found.first_value.a == "inp.weight"


def test_float32_against_bfloat16() -> None:
    model = transformer()
    narrow = copy.deepcopy(model).bfloat16()
    one, other = trace(model, keep="all"), trace(narrow, X.bfloat16(), keep="all")
    found = one.diff(other)
    assert found.only_in_a == ()
    assert found.only_in_b == ("float",)
    assert len(found.rows) == len(one)
    first = found.first_value
    assert first is None or not first.a.startswith(("inp", "blocks.0.norm1"))
    with torch.no_grad():
        narrow.inp.weight.mul_(1.5)
    wrong = one.diff(trace(narrow, X.bfloat16(), keep="all"))
    assert wrong.first_value is not None
    assert wrong.first_value.a == "inp.weight"


def test_a_port_with_other_names() -> None:
    class Port(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(8, 16), nn.Linear(16, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.b(F.relu(self.a(x)))

    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))
    port = Port()
    port.a, port.b = copy.deepcopy(model[0]), copy.deepcopy(model[2])
    x = X[:, 0]
    found = trace(model, x).diff(trace(port, x))
    assert found.same, str(found)
    assert {row.a: row.b for row in found.rows}["0.linear"] == "a.linear"
    with torch.no_grad():
        port.b.bias[0] += 1
    wrong = trace(model, x).diff(trace(port, x))
    assert wrong.first_value is not None
    assert wrong.first_value.name == "2.bias ~ b.bias"


def test_another_engine() -> None:
    """The NumPy engine of the tests says `mul` and `matmul`; torch may say them in one call."""
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(3, 3)) for _ in range(3)]
    run = Run()
    x, w, v = (run.leaf(n, a) for n, a in zip("xwv", arrays, strict=True))
    run.backward(run.call("sum", run.call("mul", run.call("tanh", run.call("matmul", x, w)), v)))
    tensors = [torch.tensor(a, requires_grad=True) for a in arrays]
    with gradtrace.trace(keep="all") as graph:
        x, w, v = tensors
        torch.multiply(torch.tanh(torch.mm(x, w)), v).sum().backward()
    found = run.graph().diff(graph)
    assert found.same, str(found)
    assert {row.a: row.b for row in found.rows}["mul"] == "multiply"


def test_one_call_against_two_is_aligned_by_value() -> None:
    torch.manual_seed(0)
    model = nn.Linear(8, 4)
    x = X[:, 0]
    one = trace(model, x, keep="all")
    two = traced(
        model,
        lambda: F.cross_entropy((x @ model.weight.T + model.bias).tanh().atanh(), Y),
        keep="all",
    )
    rows = {row.a: row for row in one.diff(two, tolerance=1e-4).rows}
    assert rows["linear"].by == "value"
    assert not rows["linear"].parts


def test_one_activation_in_the_place_of_another() -> None:
    def network(activation: type[nn.Module]) -> nn.Module:
        torch.manual_seed(0)
        layers = nn.Linear(8, 8), activation(), nn.Linear(8, 8), activation(), nn.Linear(8, 4)
        return nn.Sequential(nn.Flatten(0, 1), *layers, nn.Unflatten(0, (4, 6)), Mean())

    class Mean(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.mean(1)

    found = trace(network(nn.GELU)).diff(trace(network(nn.SiLU)))
    assert found.first_value is not None
    assert (found.first_value.a, found.first_value.b) == ("2.gelu", "2.silu")
    assert found.first_value.by == "place"
    assert not found.only_in_a
    assert not found.only_in_b


def test_a_loaded_graph(tmp_path: Any) -> None:
    graph = trace(transformer(), keep="small")
    again = gradtrace.load(graph.save(tmp_path / "graph.gradtrace"))
    assert graph.diff(again).same
