"""What a trace does where it meets the rest of PyTorch: threads, devices, transforms."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.utils.checkpoint import checkpoint

import gradtrace
from gradtrace.errors import TraceError
from tests.torch.cases import spelled

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")


def kinds(graph: gradtrace.Graph) -> dict[str, str]:
    return {node: data["kind"] for node, data in graph.nodes(data=True)}


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


class Double(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x * 2

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> Tensor:
        return upstream * 2


def test_nothing_stays_behind_of_traces_that_overlap() -> None:
    from torch._dynamo import eval_frame

    above, stance = Double.__mro__[2], eval_frame._stance.stance
    before = dict(vars(above))
    first_entered, second_entered, first_left = (threading.Event() for _ in range(3))
    ops: dict[str, list[str]] = {}

    def ops_of(graph: gradtrace.Graph) -> list[str]:
        return [data["op"] for data in graph.nodes.values() if data["kind"] == "call"]

    def first() -> None:
        with gradtrace.trace() as graph:
            first_entered.set()
            second_entered.wait(30)
            Double.apply(torch.ones(2, requires_grad=True)).sum().backward()
        ops["first"] = ops_of(graph)
        first_left.set()

    def second() -> None:
        first_entered.wait(30)
        with gradtrace.trace() as graph:
            second_entered.set()
            first_left.wait(30)
            assert eval_frame._stance.stance == "force_eager"
            Double.apply(torch.ones(2, requires_grad=True)).mean().backward()
        ops["second"] = ops_of(graph)

    threads = [threading.Thread(target=work) for work in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ops == {"first": ["Double", "sum"], "second": ["Double", "mean"]}
    assert eval_frame._stance.stance == stance
    assert dict(vars(above)) == before


def test_a_trace_inside_a_trace_is_refused() -> None:
    x = torch.randn(3, requires_grad=True)
    with gradtrace.trace() as graph:
        y = x * 2
        again = gradtrace.trace()
        with pytest.raises(TraceError, match="end its block before you begin another"):
            again.__enter__()
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


def test_nested_transforms_are_named_after_the_outermost() -> None:
    w = torch.randn(3, requires_grad=True)
    with gradtrace.trace() as graph:
        torch.func.vmap(torch.func.grad(lambda v: v**3))(w).sum().backward()
    assert spelled(graph) == ["input w", "vmap = vmap(inner0=w)", "sum = sum(self=vmap)"]


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
    assert spelled(graph) == ["input w", "Twice = Twice(x=w)", "sum = sum(self=Twice)"]


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


@pytest.mark.parametrize("keep", ["summary", "all"])
def test_passes_through_calls_that_saved_nothing_add_up(keep: str) -> None:
    x = torch.ones(3, requires_grad=True)
    with gradtrace.trace(keep=keep) as graph:
        trunk = x + 1
        (trunk + 2).sum().backward()
        (trunk + 3).sum().backward()
    assert graph.nodes["add"]["upstream_gradient"].max == 2
    assert graph.edges["x", "add", 0]["downstream_gradient"].max == 2
    check = graph.check()
    assert len(check.passed) == len(graph), str(check)


@pytest.mark.parametrize("keep", ["summary", "all"])
def test_a_backward_counts_and_a_grad_before_it_does_not(keep: str) -> None:
    x = torch.ones(3, requires_grad=True)
    with gradtrace.trace(keep=keep) as graph:
        total = (x + 1).sum()
        torch.autograd.grad(total, x)
        total.backward()
    assert graph.nodes["x"]["upstream_gradient"].max == 1
    assert graph.edges["x", "add", 0]["downstream_gradient"].max == 1
    check = graph.check()
    assert len(check.passed) == len(graph), str(check)
