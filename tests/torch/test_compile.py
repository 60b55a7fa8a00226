"""Whether what torch.compile made is traced as eager code, and said so once."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import gradtrace
from gradtrace.errors import GradtraceWarning
from tests.torch.cases import spelled


@pytest.fixture
def compiler() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torch._dynamo

        yield
        torch._dynamo.reset()


@pytest.mark.usefixtures("compiler")
def test_a_compiled_model_is_traced_as_eager_and_says_so_once() -> None:
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)), torch.randn(2, 3)
    with gradtrace.trace(model) as plain:
        model(x).sum().backward()
    compiled = torch.compile(model, backend="eager")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with gradtrace.trace(compiled) as graph:
            compiled(x).sum().backward()
    ours = [each for each in caught if issubclass(each.category, GradtraceWarning)]
    assert [str(each.message).split(" is ")[1] for each in ours] == [
        "traced as eager code; outside the trace block it runs compiled as before"
    ]
    assert spelled(graph)[1:3] == spelled(plain)[1:3]
    assert list(graph)[4:] == list(plain)[4:]
    assert not graph.check().failed


@pytest.mark.usefixtures("compiler")
@pytest.mark.filterwarnings("ignore::gradtrace.errors.GradtraceWarning")
def test_inputs_of_a_compiled_model_are_named_as_those_of_the_model() -> None:
    model = torch.compile(nn.Linear(3, 3), backend="eager")
    with gradtrace.trace(model) as graph:
        model(torch.randn(2, 3))
    assert next(iter(graph)) == "input"


@pytest.mark.usefixtures("compiler")
def test_the_warning_points_at_the_trace() -> None:
    model = torch.compile(nn.Linear(3, 3), backend="eager")
    with pytest.warns(GradtraceWarning) as caught, gradtrace.trace(model):
        pass
    assert caught[0].filename == __file__


@pytest.mark.usefixtures("compiler")
def test_a_compiled_part_is_traced_as_eager_and_said_so() -> None:
    inner = torch.compile(nn.Linear(3, 3), backend="eager")
    model = nn.Sequential(nn.Tanh(), inner)
    with pytest.warns(GradtraceWarning, match="traced as eager"), gradtrace.trace(model) as graph:
        model(torch.randn(2, 3)).sum().backward()
    assert list(graph)[2:] == ["1.weight", "1.bias", "1.linear", "sum"]


@pytest.mark.usefixtures("compiler")
def test_a_compiled_function_is_traced_as_eager() -> None:
    @torch.compile(backend="eager")
    def twice(x: Tensor) -> Tensor:
        return x.sin() * 2

    x = torch.randn(3, requires_grad=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GradtraceWarning)
        with gradtrace.trace() as graph:
            twice(x).sum().backward()
    assert list(graph) == ["x", "sin", "mul", "sum"]


@pytest.mark.usefixtures("compiler")
def test_what_was_compiled_runs_compiled_again_afterwards() -> None:
    runs: list[str] = []

    def backend(module: Any, inputs: Any) -> Any:
        def run(*args: Any) -> Any:
            runs.append("compiled")
            return module(*args)

        return run

    model, x = torch.compile(nn.Linear(3, 3), backend=backend), torch.randn(2, 3)
    with pytest.warns(GradtraceWarning), gradtrace.trace(model):
        model(x)
    assert runs == []
    model(x)
    assert runs == ["compiled"]
