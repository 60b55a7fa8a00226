"""Whether a trace leaves the user's run, and the process, as they would be without it."""

from __future__ import annotations

import copy
import gc
import warnings
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules import module as module_hooks
from torch.optim import optimizer as optimizer_hooks

import gradtrace
from tests.torch.cases import CASES, Case, Program
from tests.torch.test_hard_cases import OPTIONS, every_case, every_option, expect_bugs

pytestmark = [
    pytest.mark.filterwarnings("ignore:Using backward. with create_graph"),
    pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning"),
]


def global_state() -> dict[str, Any]:
    """Return all that a trace might change outside the user's objects."""
    return {
        "module hooks": {
            name: dict(hooks)
            for name, hooks in vars(module_hooks).items()
            if name.startswith("_global") and isinstance(hooks, dict)
        },
        "optimizer hooks": (
            dict(optimizer_hooks._global_optimizer_pre_hooks),
            dict(optimizer_hooks._global_optimizer_post_hooks),
        ),
        "function modes": torch._C._len_torch_function_stack(),
        "dispatch modes": torch._C._len_torch_dispatch_stack(),
        "function enabled": torch._C._is_torch_function_enabled(),
        "gradients enabled": torch.is_grad_enabled(),
        "saved tensor hooks": torch._C._autograd._top_saved_tensors_default_hooks(True),
        "call": nn.Module.__call__,
        "getattr": nn.Module.__getattr__,
        "backward": Tensor.backward,
        "apply": torch.autograd.Function.apply,
        "grad": torch.autograd.grad,
    }


def state_of(program: Program) -> dict[str, Any]:
    """Return what hangs on the tensors and modules of a program."""
    state: dict[str, Any] = {}
    for name, tensor in program.gathering().items():
        hooks = tensor._backward_hooks, tensor._post_accumulate_grad_hooks
        state[name] = vars(tensor).copy(), *map(copy.copy, hooks), type(tensor), tensor._version
    if program.model is not None:
        for name, module in program.model.named_modules():
            containers = {k: copy.copy(v) for k, v in vars(module).items() if isinstance(v, dict)}
            state[f"module {name}"] = set(vars(module)), containers, type(module)
    return state


@every_option
@every_case
def test_gradients_and_random_state_are_the_same(
    case: Case, options: dict[str, str], request: pytest.FixtureRequest
) -> None:
    expect_bugs(case, request, options.get("derivatives", "gain"))
    plain = case.program()
    plain.run()
    state = torch.get_rng_state()
    program = case.program()
    with gradtrace.trace(program.model, **options):
        program.run()
    assert torch.equal(torch.get_rng_state(), state)
    expected, found = plain.gradients(), program.gradients()
    assert list(found) == list(expected)
    for name, gradient in found.items():
        assert torch.equal(gradient.to_dense(), expected[name].to_dense()), name
    for (name, tensor), other in zip(
        program.gathering().items(), plain.gathering().values(), strict=True
    ):
        assert torch.equal(tensor, other), name


@pytest.mark.parametrize("options", OPTIONS.values(), ids=list(OPTIONS))
@pytest.mark.parametrize(
    "case",
    [CASES[name] for name in ("convolution", "tied_weights", "cell_in_a_loop", "checkpointed")],
    ids=lambda case: case.name,
)
def test_nothing_is_left_behind(case: Case, options: dict[str, str]) -> None:
    program = case.program()
    before, globally = state_of(program), global_state()
    plain = case.program()
    plain.run()
    with gradtrace.trace(program.model, **options):
        program.run()
    after = state_of(program)
    versions = {name: state[-1] for name, state in state_of(plain).items() if " " not in name}
    assert {name: after[name][-1] for name in versions} == versions
    assert set(after) == set(before)
    for name, state in before.items():
        assert str(after[name][:2]) == str(state[:2]) or name in buffers_of(program), name
    assert global_state() == globally


def buffers_of(program: Program) -> set[str]:
    """Return the modules whose buffers the run itself changes."""
    assert program.model is not None
    return {
        f"module {name}"
        for name, module in program.model.named_modules()
        if next(module.buffers(), None) is not None
    }


@pytest.mark.parametrize("options", OPTIONS.values(), ids=list(OPTIONS))
def test_warnings_are_filtered_as_before(options: dict[str, str]) -> None:
    x = torch.randn(3, requires_grad=True)
    before = list(warnings.filters)
    with gradtrace.trace(**options):
        assert list(warnings.filters) == before
        x.tanh().sum().backward()
        assert list(warnings.filters) == before
    assert list(warnings.filters) == before


def test_hooks_on_nodes_are_silent_after_the_block() -> None:
    x = torch.randn(3, requires_grad=True)
    with gradtrace.trace(keep="all") as graph:
        loss = (x * x).sum()
        loss.backward(retain_graph=True)
    first = graph.nodes["x"]["upstream_gradient"].array.copy()
    loss.backward()
    np.testing.assert_array_equal(graph.nodes["x"]["upstream_gradient"].array, first)
    np.testing.assert_array_equal(x.grad.numpy(), 2 * first)


def test_a_backward_after_the_block_fills_nothing_in() -> None:
    x = torch.randn(3, requires_grad=True)
    with gradtrace.trace() as graph:
        loss = (x * x).sum()
    loss.backward()
    assert [data["upstream_gradient"] for data in graph.nodes.values()] == [None] * 3
    assert graph.check()[0].reason == "no backward pass ran in the trace block"


@pytest.mark.parametrize("keep", ["summary", "small", "all"])
@pytest.mark.parametrize("size", [5, 1024, 5000])
def test_writing_in_place_after_the_block_changes_no_graph(keep: str, size: int) -> None:
    x, w = torch.ones(size, requires_grad=True), torch.full((size,), 2.0)
    with gradtrace.trace(keep=keep) as graph:
        y = x * w
        z = y.detach()
        z.sum()
        y.sum().backward()
    with torch.no_grad():
        for tensor in (x, w, y, x.grad):
            tensor.fill_(-7.0)
    assert graph.nodes["x"]["value"].max == 1.0
    assert graph.nodes["w"]["value"].max == 2.0
    assert graph.nodes["mul"]["value"].min == 2.0
    assert graph.nodes["x"]["upstream_gradient"].min == 2.0
    if graph.nodes["x"]["value"].array is not None:
        assert graph.nodes["x"]["value"].array.max() == 1.0
        assert graph.nodes["x"]["upstream_gradient"].array.max() == 2.0


@pytest.mark.parametrize("size", [5, 5000])
def test_writing_in_place_inside_the_block_changes_no_earlier_value(size: int) -> None:
    x = torch.ones(size, requires_grad=True)
    with gradtrace.trace(keep="all") as graph:
        y = x + 1
        y.mul_(3)
        y.sum().backward()
        with torch.no_grad():
            x.fill_(-7.0)
            x.grad.zero_()
    assert graph.nodes["x"]["value"].max == 1.0
    assert graph.nodes["add"]["value"].max == 2.0
    assert graph.nodes["mul_"]["value"].max == 6.0
    assert graph.nodes["x"]["upstream_gradient"].max == 3.0


@pytest.mark.parametrize("options", OPTIONS.values(), ids=list(OPTIONS))
def test_tensors_and_modules_are_let_go(options: dict[str, str]) -> None:
    """A graph that is kept, read or not, keeps no tensor of the user's alive."""

    def step() -> tuple[gradtrace.Graph, list[Callable[[], object]]]:
        model, x = nn.Sequential(nn.Linear(3, 3), nn.Tanh()), torch.randn(2, 3)
        with gradtrace.trace(model, **options) as graph:
            y = model(x)
            loss = y.sum()
            loss.backward()
        watched: list[Callable[[], object]] = [weakref.ref(o) for o in (model, x, y, loss)]
        return graph, watched

    graph, watched = step()
    gc.collect()
    assert len(graph) > 1
    gc.collect()
    assert [reference() for reference in watched] == [None] * 4


def test_a_training_run_is_the_same_to_the_last_bit() -> None:
    def train(*, traced: bool) -> list[Tensor]:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(), nn.BatchNorm1d(8), nn.Linear(8, 2))
        optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
        for _ in range(5):
            x, target = torch.randn(6, 4), torch.randint(2, (6,))
            if traced:
                with gradtrace.trace(model, keep="all", derivatives="exact"):
                    nn.functional.cross_entropy(model(x), target).backward()
            else:
                nn.functional.cross_entropy(model(x), target).backward()
            optimizer.step()
            optimizer.zero_grad()
        return list(model.state_dict().values())

    for plain, other in zip(train(traced=False), train(traced=True), strict=True):
        assert torch.equal(plain, other)


@pytest.mark.parametrize("read", [True, False])
def test_a_trace_leaves_no_garbage(read: bool) -> None:
    """Passes of the collector over all objects of a process would cost more than the trace."""
    model, x = nn.Sequential(nn.Linear(4, 4), nn.Tanh()), torch.randn(3, 4)

    def run() -> None:
        with gradtrace.trace(model) as graph:
            model(x).split(2)[0].sum().backward()
        if read:
            assert graph.nodes

    run()
    gc.collect()
    gc.disable()
    try:
        run()
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_no_tensor_of_the_user_lives_longer() -> None:
    """The frame of a function must not go on holding the variables that were looked up in it."""
    model = nn.Linear(4, 2)
    x, target = torch.randn(3, 4), torch.randn(3, 2)
    with gradtrace.trace(model) as graph:
        loss = (model(x) - target).pow(2).sum()
        loss.backward()
    assert {"input", "target"} <= set(graph)
    held = [weakref.ref(tensor) for tensor in (x, target, loss)]
    del x, target, loss
    assert [reference() for reference in held] == [None] * 3


def test_the_users_own_locals_are_left_alone() -> None:
    x = torch.randn(3, requires_grad=True)
    mine = locals()
    with gradtrace.trace() as graph:
        x.sum().backward()
    assert "x" in graph
    assert mine["x"] is x
