"""What nodes, operands and places are called: ids that a reader knows from the program."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

import gradtrace
from gradtrace.tape import KINDS
from tests.torch.cases import CASES, Case
from tests.torch.test_hard_cases import every_case, expect_bugs, traced

pytestmark = [
    pytest.mark.filterwarnings("ignore:Using backward. with create_graph"),
    pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning"),
]


def leaves(graph: gradtrace.Graph) -> dict[str, tuple[str, str | None]]:
    return {
        node: (data["kind"], data["op"])
        for node, data in graph.nodes(data=True)
        if data["kind"] not in ("call", "item")
    }


def operands(run: Callable[[], object]) -> list[str]:
    """Return the names of the operands of the last call that `run` makes."""
    with gradtrace.trace() as graph:
        run()
    last = [node for node, data in graph.nodes(data=True) if data["kind"] == "call"][-1]
    edges = sorted(graph.in_edges(last, keys=True, data="operand"), key=lambda edge: edge[2])
    return [operand for *_, operand in edges]


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(3, 3)
        self.register_buffer("shift", torch.ones(3))

    def forward(self, features: Tensor, mask: Tensor | None = None) -> Tensor:
        out = self.fc1(features) + self.shift
        return out * torch.full((3,), 2.0) if mask is None else out * mask


def test_leaves_are_told_apart_by_kind() -> None:
    model, x, target = Net(), torch.randn(2, 3), torch.tensor([0, 1])
    with gradtrace.trace(model) as graph:
        F.cross_entropy(model(x), target).backward()
    assert leaves(graph) == {
        "features": ("input", None),
        "fc1.weight": ("parameter", None),
        "fc1.bias": ("parameter", None),
        "shift": ("buffer", None),
        "full": ("constant", "full"),
        "target": ("input", None),
    }


def test_a_model_that_was_not_given_is_named_after_its_variable() -> None:
    network, x = Net(), torch.randn(2, 3)
    with gradtrace.trace() as graph:
        network(x).sum().backward()
    assert {"network.fc1.weight", "network.fc1.linear", "network.shift"} <= set(graph)
    assert graph.nodes["network.fc1.linear"]["scope"] == "network.fc1"


def test_without_a_model_leaves_are_the_variables_of_the_caller() -> None:
    weight, data = torch.randn(3, requires_grad=True), torch.randn(3)
    with gradtrace.trace() as graph:
        scaled = torch.full((3,), 0.5)
        (weight * data * scaled).sum().backward()
    assert leaves(graph) == {
        "weight": ("input", None),
        "data": ("input", None),
        "scaled": ("constant", "full"),
    }


def test_a_bare_parameter_is_a_parameter() -> None:
    bias = nn.Parameter(torch.zeros(3))
    with gradtrace.trace() as graph:
        bias.exp().sum().backward()
    assert leaves(graph) == {"bias": ("parameter", None)}


def test_a_leaf_without_a_name_is_named_after_its_kind() -> None:
    held = {"only here": [torch.randn(3, requires_grad=True)]}
    with gradtrace.trace() as graph:
        held["only here"][0].exp().sum().backward()
    assert leaves(graph) == {"input": ("input", None)}


def test_keyword_arguments_of_forward_name_their_tensors() -> None:
    model, x, kept = Net(), torch.randn(2, 3), torch.ones(3)
    with gradtrace.trace(model) as graph:
        model(features=x, mask=kept)
    assert {"features", "mask"} <= set(graph)


def test_one_tensor_as_several_arguments_has_all_their_names() -> None:
    class Two(nn.Module):
        def forward(self, query: Tensor, key: Tensor) -> Tensor:
            return query @ key

    model, x = Two(), torch.randn(2, 2)
    with gradtrace.trace(model) as graph:
        model(x, x)
    assert graph.nodes["query"]["names"] == ("query", "key")


@pytest.mark.parametrize(
    ("run", "names"),
    [
        (lambda x, w: F.linear(x, w, w[0]), ["input", "weight", "bias"]),
        (lambda x, w: F.linear(x, weight=w), ["input", "weight"]),
        (lambda x, w: x + w, ["self", "other"]),
        (lambda x, w: torch.mul(x, w), ["self", "other"]),
        (lambda x, w: 2 - x, ["self"]),
        (lambda x, w: torch.cat([x, w]), ["tensors[0]", "tensors[1]"]),
        (lambda x, w: torch.stack((x, w), dim=1), ["tensors[0]", "tensors[1]"]),
        (lambda x, w: torch.einsum("ij,kj->ik", x, w), ["1", "2"]),
        (lambda x, w: torch.where(x > 0, x, w), ["condition", "self", "other"]),
        (lambda x, w: x.addmm(x, w), ["self", "mat1", "mat2"]),
        (lambda x, w: F.mse_loss(x, w), ["input", "target"]),
        (lambda x, w: x.float(), ["self"]),
        (lambda x, w: x[0], ["self"]),
    ],
)
def test_operands_are_called_as_the_framework_calls_them(run: Any, names: list[str]) -> None:
    x, w = torch.randn(3, 3, dtype=torch.float64, requires_grad=True), torch.randn(3, 3)
    assert operands(lambda: run(x, w.double())) == names


@every_case
def test_ids_are_the_same_twice(case: Case) -> None:
    first, second = (traced(case.program(), keep="all") for _ in range(2))
    assert list(first) == list(second)
    assert list(first.edges(keys=True, data="operand")) == list(
        second.edges(keys=True, data="operand")
    )


@every_case
def test_ids_are_safe_and_attributes_are_whole(case: Case) -> None:
    graph = traced(case.program())
    for number, (node, data) in enumerate(graph.nodes(data=True)):
        assert ":" not in node
        assert node.strip() == node != ""
        assert data["order"] == number
        assert data["kind"] in KINDS
        for source, _ in graph.in_edges(node):
            assert graph.nodes[source]["order"] < number
        keys = [key for _, _, key in graph.in_edges(node, keys=True)]
        assert len(set(keys)) == len(keys)


@every_case
def test_sources_are_in_the_program(case: Case, request: pytest.FixtureRequest) -> None:
    expect_bugs(case, request, "source")
    graph = traced(case.program())
    found = [data["source"] for data in graph.nodes.values() if data["source"] is not None]
    assert found
    for source in found:
        assert "/site-packages/torch/" not in source.file
        assert "/gradtrace/" not in source.file
        assert "/gradtrace_torch/" not in source.file
        assert source.line > 0


def test_a_source_is_the_line_of_the_call() -> None:
    x = torch.randn(3, requires_grad=True)
    with gradtrace.trace() as graph:
        line = inspect.currentframe().f_lineno
        y = torch.exp(x)
        (
            y
            * x.tanh()
        ).sum().backward()  # fmt: skip
    sources = {node: data["source"] for node, data in graph.nodes(data=True)}
    assert (sources["exp"].file, sources["exp"].line) == (__file__, line + 1)
    assert sources["exp"].function == "test_a_source_is_the_line_of_the_call"
    assert sources["mul"].line == line + 3
    assert sources["tanh"].line == line + 4


def test_a_source_inside_a_module_is_its_forward() -> None:
    with gradtrace.trace(model := Net()) as graph:
        model(torch.randn(2, 3)).sum().backward()
    lines, first = inspect.getsourcelines(Net.forward)
    for node in ("fc1.linear", "add"):
        source = graph.nodes[node]["source"]
        assert source.function == "Net.forward"
        assert "self.fc1(features) + self.shift" in lines[source.line - first]


def test_two_processes_give_the_same_text() -> None:
    program = (
        "import torch, gradtrace; torch.manual_seed(0)\n"
        "m = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.ReLU()); x = torch.ones(2, 3)\n"
        "with gradtrace.trace(m) as g: m(x).sum().backward()\n"
        "print(g); print(list(g.edges(keys=True)))"
    )
    texts = {
        subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout
        for _ in range(2)
    }
    assert len(texts) == 1
    assert len(CASES) > 50
