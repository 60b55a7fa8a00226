"""What a trace does where it meets the rest of PyTorch: compilers, threads, devices, transforms."""

from __future__ import annotations

import threading
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.utils.checkpoint import checkpoint

import gradtrace
from gradtrace.errors import GradtraceWarning, TraceError
from tests.torch.cases import spelled

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")


def kinds(graph: gradtrace.Graph) -> dict[str, str]:
    return {node: data["kind"] for node, data in graph.nodes(data=True)}


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
@pytest.mark.xfail(strict=True, reason="the argument is named after OptimizedModule.forward")
def test_inputs_of_a_compiled_model_are_named_as_those_of_the_model() -> None:
    model = torch.compile(nn.Linear(3, 3), backend="eager")
    with gradtrace.trace(model) as graph:
        model(torch.randn(2, 3))
    assert next(iter(graph)) == "input"


@pytest.mark.usefixtures("compiler")
@pytest.mark.xfail(strict=True, reason="the warning points into contextlib")
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


def test_threads_are_left_alone() -> None:
    x, y = torch.randn(3, requires_grad=True), torch.randn(3, requires_grad=True)
    other = nn.Linear(3, 3)
    errors: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(20):
                other(y).tanh().sum().backward()
        except BaseException as error:  # told to the test, which runs in another thread
            errors.append(error)

    with gradtrace.trace() as graph:
        thread = threading.Thread(target=work)
        thread.start()
        for _ in range(20):
            z = x * 2
        thread.join()
        z.sum().backward()
    assert errors == []
    assert set(graph) == {"x", "sum", "mul", *(f"mul_{i}" for i in range(2, 21))}


def test_each_thread_may_trace() -> None:
    graphs: dict[int, list[str]] = {}
    gate = threading.Barrier(2, timeout=30)

    def work(number: int) -> None:
        model, x = nn.Sequential(*[nn.Linear(2, 2) for _ in range(number)]), torch.randn(1, 2)
        with gradtrace.trace(model) as graph:
            gate.wait()
            model(x).sum().backward()
            gate.wait()
        graphs[number] = [n for n, d in graph.nodes(data=True) if d["kind"] == "call"]

    threads = [threading.Thread(target=work, args=(number,)) for number in (1, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert graphs[1] == ["0.linear", "sum"]
    assert graphs[3] == ["0.linear", "1.linear", "2.linear", "sum"]


def test_a_trace_inside_a_trace_is_refused() -> None:
    x = torch.randn(3, requires_grad=True)
    with gradtrace.trace() as graph:
        y = x * 2
        with pytest.raises(TraceError, match="end its block before you begin another"):
            with gradtrace.trace():
                pass
        y.sum().backward()
    assert list(graph) == ["x", "mul", "sum"]
    with gradtrace.trace() as again:
        x.sum().backward()
    assert list(again) == ["x", "sum"]


@pytest.mark.parametrize("keep", ["summary", "small", "all"])
@pytest.mark.parametrize("derivatives", ["gain", "norm", "exact"])
def test_meta_tensors_have_shapes_and_no_numbers(keep: str, derivatives: str) -> None:
    model = nn.Linear(3, 4, device="meta")
    x = torch.empty(2, 3, device="meta")
    with gradtrace.trace(model, keep=keep, derivatives=derivatives) as graph:
        model(x).sum().backward()
    for data in graph.nodes.values():
        value = data["value"]
        assert (value.device, value.norm, value.mean, value.nonfinite) == ("meta", None, None, None)
        assert value.array is None
    upstream = graph.nodes["weight"]["upstream_gradient"]
    assert (upstream.shape, upstream.norm) == ((4, 3), None)
    assert "not computed" in str(graph)
    assert not graph.check().failed
    assert not graph.check().passed
    edge = graph.edges["weight", "linear", 0 + 1]["local_derivative"]
    assert (edge.structure, edge.norm, edge.gain) == ("operator", None, None)


@pytest.mark.parametrize("reentrant", [False, True])
def test_recomputation_makes_no_second_nodes(reentrant: bool) -> None:
    runs = 0

    class Counting(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            nonlocal runs
            runs += 1
            return x.tanh() * 2

    model, x = Counting(), torch.randn(3, requires_grad=True)
    with gradtrace.trace(model) as graph:
        checkpoint(model, x, use_reentrant=reentrant).sum().backward()
    assert runs == 2
    calls = [node for node, kind in kinds(graph).items() if kind == "call"]
    assert calls == (["CheckpointFunction", "sum"] if reentrant else ["tanh", "mul", "sum"])


@pytest.mark.parametrize("derivatives", ["norm", "exact"])
@pytest.mark.xfail(strict=True, reason="each probe of a checkpointed call runs its forward again")
def test_derivatives_run_no_forward_again(derivatives: str) -> None:
    runs = 0

    def counted(x: Tensor) -> Tensor:
        nonlocal runs
        runs += 1
        return x.tanh() * 2

    x = torch.randn(3, requires_grad=True)
    with gradtrace.trace(derivatives=derivatives):
        checkpoint(counted, x, use_reentrant=False).sum().backward()
    assert runs == 2


def test_a_transform_is_one_node() -> None:
    w = torch.randn(3, requires_grad=True)
    with gradtrace.trace(keep="all", derivatives="exact") as graph:
        torch.func.jvp(torch.tanh, (w,), (torch.ones(3),))[1].sum().backward()
    assert spelled(graph) == ["input w", "jvp = jvp(inner0=w)", "sum = sum(self=jvp)"]
    assert not graph.check().failed


@pytest.mark.xfail(strict=True, reason="a transform is named after the innermost one")
def test_nested_transforms_are_named_after_the_outermost() -> None:
    w = torch.randn(3, requires_grad=True)
    with gradtrace.trace() as graph:
        torch.func.vmap(torch.func.grad(lambda v: v**3))(w).sum().backward()
    assert spelled(graph) == ["input w", "vmap = vmap(inner0=w)", "sum = sum(self=vmap)"]


@pytest.mark.xfail(strict=True, reason="the name of a transform waits for the next unknown node")
def test_a_transform_without_gradient_names_no_other_call() -> None:
    class Twice(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return x * 2

        @staticmethod
        def backward(ctx: Any, *gradients: Tensor) -> Any:
            return gradients[0] * 2

    w = torch.randn(3, requires_grad=True)
    with gradtrace.trace() as graph:
        torch.func.vmap(torch.sin)(torch.ones(3))
        Twice.apply(w).sum().backward()
    assert spelled(graph) == ["input w", "Twice = Twice(inner0=w)", "sum = sum(self=Twice)"]


def test_gradients_of_the_loss_scale_are_those_that_were_scaled() -> None:
    model, scaler = nn.Linear(3, 3), torch.amp.GradScaler("cpu", init_scale=64.0)
    with gradtrace.trace(model) as graph:
        scaler.scale(model(torch.randn(2, 3)).sum()).backward()
    assert graph.nodes["bias"]["upstream_gradient"].max == 128.0
    assert graph.nodes["sum"]["upstream_gradient"].max == 64.0
    assert graph.nodes["mul"]["seed"].max == 1.0


def test_an_optimizer_with_a_closure_is_traced_through_it() -> None:
    model, x = nn.Linear(3, 1), torch.randn(4, 3)
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=1)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = model(x).pow(2).sum()
        loss.backward()
        return loss

    with gradtrace.trace(model) as graph:
        optimizer.step(closure)
    assert "linear" in graph
    assert graph.nodes["weight"]["upstream_gradient"] is not None
    assert not graph.check().failed


def test_zero_grad_between_steps_keeps_the_gradients_of_both() -> None:
    """The upstream gradient is what the run added to `.grad`, of which the user kept a part."""
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    with gradtrace.trace(keep="all") as graph:
        (x * 2).sum().backward()
        x.grad = None
        (x * 3).sum().backward()
    assert graph.nodes["x"]["upstream_gradient"].array.tolist() == [5.0, 5.0]
    assert not graph.check().failed


def test_a_gradient_there_before_is_not_counted() -> None:
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    x.grad = torch.tensor([10.0, 10.0])
    with gradtrace.trace(keep="all") as graph:
        (x * 2).sum().backward()
    assert x.grad.tolist() == [12.0, 12.0]
    assert graph.nodes["x"]["upstream_gradient"].array.tolist() == [2.0, 2.0]


def test_a_frozen_parameter_is_there_without_a_gradient() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2))
    model[1].requires_grad_(False)
    with gradtrace.trace(model) as graph:
        F.relu(model(torch.randn(2, 3))).sum().backward()
    assert kinds(graph)["1.weight"] == "parameter"
    assert graph.nodes["1.weight"]["upstream_gradient"] is None
    assert graph.edges["1.weight", "1.linear", 1]["local_derivative"] is None
    assert graph.nodes["0.weight"]["upstream_gradient"] is not None
