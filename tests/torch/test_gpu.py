"""Whether a trace holds for tensors on a GPU, without waiting for it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import gradtrace
from tests.torch.architectures import ARCHITECTURES
from tests.torch.cases import CASES, Case, Program, spelled
from tests.torch.devices import (
    DEVICE,
    Elsewhere,
    needs_cuda,
    needs_device,
    nothing_waits,
)
from tests.torch.test_hard_cases import OPTIONS, traced

pytestmark = [
    needs_device,
    pytest.mark.filterwarnings("ignore:Using backward. with create_graph"),
    pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:dropout option adds dropout"),
]

ON_THE_HOST = {
    "gru_of_packed_sequences": "the lengths of sequences must be on the CPU",
    "autocast": "it casts for the CPU",
}
"""Programs that would be others on a device, with the reason."""

PRETENDED = {
    "lstm": "the cell is one fused kernel, which the pretended device has not",
    "cell_in_a_loop": "the cell is one fused kernel, which the pretended device has not",
    "sparse_operand": "the pretended device has no sparse tensors",
    "sparse_gradient": "the pretended device has no sparse tensors",
    "complex_numbers": "the pretended device has no view of complex numbers as real ones",
}

RENAMED = {
    "transforms": "nodes made in a transform are known by numbers that each thread counts alone",
    "scripted_submodule": "what is fused differs",
    "lstm": "it is one call of cuDNN",
}
"""Programs of which the graph differs from that on the CPU, with the reason."""

RANDOM = {"random_calls", "checkpointed", "checkpointed_reentrant", "dropout"}
"""Programs that draw random numbers as they run, which a GPU draws otherwise."""


@pytest.fixture(autouse=True)
def precisely() -> Any:
    """Multiply as precisely as the CPU does."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def elsewhere(case: Case, **options: Any) -> gradtrace.Graph:
    """Return the graph of a program whose tensors are all on the device."""
    reasons = ON_THE_HOST if DEVICE.type == "cuda" else ON_THE_HOST | PRETENDED
    if case.name in reasons:
        pytest.skip(reasons[case.name])
    with Elsewhere():
        return traced(case.program(), **options)


def assert_alike(found: Any, expected: Any, where: str) -> None:
    """Compare two summaries, or tuples of them, up to the device."""
    if isinstance(expected, tuple):
        for one, other in zip(found, expected, strict=True):
            assert_alike(one, other, where)
        return
    assert (found is None) == (expected is None), where
    if found is None:
        return
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype), where
    scale = max(abs(expected.norm or 0.0), 1e-3)
    for statistic in ("norm", "min", "max"):
        one, other = getattr(found, statistic), getattr(expected, statistic)
        near = other if other is None else pytest.approx(other, 1e-3, 1e-4 * scale, nan_ok=True)
        assert one == near, where
    assert found.nonfinite == expected.nonfinite, where


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_the_graph_is_that_of_the_cpu(case: Case) -> None:
    there, here = elsewhere(case), traced(case.program())
    assert not there.check().failed
    if case.name in RENAMED:
        return
    assert spelled(there) == spelled(here)
    if case.name in RANDOM:
        return
    for node, data in here.nodes(data=True):
        for kept in ("value", "upstream_gradient"):
            assert_alike(there.nodes[node][kept], data[kept], f"{kept} of {node}")
    for edge, data in here.edges.items():
        gain = getattr(data["local_derivative"], "gain", None)
        found = getattr(there.edges[edge]["local_derivative"], "gain", None)
        assert found == (gain if gain is None else pytest.approx(gain, rel=1e-2, nan_ok=True))


@pytest.mark.parametrize("chosen", ["small", "norm", "exact", "primitive-exact"])
@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_the_chain_rule_holds(case: Case, chosen: str) -> None:
    options = OPTIONS[chosen]
    if options.get("derivatives", "gain") in case.bugs:
        pytest.skip(case.bugs[options.get("derivatives", "gain")])
    report = elsewhere(case, **options).check()
    assert not report.failed, str(report)


@pytest.mark.parametrize("name", ["gpt2", "bert", "resnet", "t5", "vit"])
def test_architectures_in_double_precision(name: str) -> None:
    make, run = ARCHITECTURES[name]

    def graph() -> gradtrace.Graph:
        torch.manual_seed(0)
        model = make().eval()
        return traced(Program(lambda: run(model).backward(), model))

    torch.set_default_dtype(torch.float64)
    try:
        here = graph()
        with Elsewhere():
            there = graph()
    finally:
        torch.set_default_dtype(torch.float32)
    assert not there.check().failed
    parameters = [n for n, data in here.nodes(data=True) if data["kind"] == "parameter"]
    assert len(parameters) > 10
    for node in parameters:
        expected = here.nodes[node]["upstream_gradient"]
        found = there.nodes[node]["upstream_gradient"]
        assert (found is None) == (expected is None)
        if found is not None:
            assert found.norm == pytest.approx(expected.norm, rel=1e-8, abs=1e-12), node
            assert found.device == str(DEVICE)


def small() -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.LayerNorm(8), nn.Linear(8, 3))
    return model.to(DEVICE), torch.randn(4, 6).to(DEVICE)


def large() -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 8, 3), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(8 * 900, 64)]
    return nn.Sequential(*layers, nn.Linear(64, 3)).to(DEVICE), torch.randn(4, 3, 32, 32).to(DEVICE)


@pytest.mark.parametrize("make", [small, large])
@pytest.mark.parametrize("keep", ["summary", "small", "all"])
def test_nothing_in_the_block_waits_for_the_device(make: Any, keep: str) -> None:
    model, x = make()
    target = torch.zeros(4, dtype=torch.long).to(DEVICE)

    def step() -> None:
        cross_entropy(model(x), target).backward()

    step()  # what is made once, such as handles of libraries
    traced(Program(step, model), keep=keep)
    with nothing_waits(), gradtrace.trace(model, keep=keep) as graph:
        step()
    assert not graph.check().failed
    assert all(data["value"].norm is not None for data in graph.nodes.values())


def test_waiting_is_caught() -> None:
    model, x = small()
    refused = pytest.raises(RuntimeError, match=r"wait|synchroniz")
    with nothing_waits(), refused, gradtrace.trace(model):
        model(x).sum().item()


def test_gradients_and_random_state_are_the_same() -> None:
    def train(*, trace: bool) -> list[Tensor]:
        torch.manual_seed(0)
        layers = [nn.Linear(64, 64), nn.Dropout(), nn.BatchNorm1d(64), nn.Linear(64, 2)]
        model = nn.Sequential(*layers).to(DEVICE)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
        for _ in range(3):
            x, target = torch.randn(40, 64).to(DEVICE), torch.randint(2, (40,)).to(DEVICE)
            if trace:
                with gradtrace.trace(model, keep="all", derivatives="exact"):
                    cross_entropy(model(x), target).backward()
            else:
                cross_entropy(model(x), target).backward()
            optimizer.step()
            optimizer.zero_grad()
        states = [torch.get_rng_state()]
        states += [torch.cuda.get_rng_state()] if DEVICE.type == "cuda" else []
        return [*model.state_dict().values(), *states]

    for plain, other in zip(train(trace=False), train(trace=True), strict=True):
        assert torch.equal(plain, other)


def test_a_trace_over_two_devices() -> None:
    torch.manual_seed(0)
    first, second = nn.Linear(60, 50), nn.Linear(50, 40).to(DEVICE)
    third, x = nn.Linear(40, 1), torch.randn(30, 60)
    with gradtrace.trace(keep="all", derivatives="exact") as graph:
        loss = third(second(first(x).to(DEVICE)).relu().cpu()).sum()
        loss.backward()
    report = graph.check()
    assert not report.failed, str(report)
    assert [data["op"] for data in graph.nodes.values()].count("to") == 1
    devices = {data["value"].device for data in graph.nodes.values()}
    assert devices == {"cpu", str(DEVICE)}
    for parameter in (first.weight, second.weight, third.weight):
        norms = [
            data["upstream_gradient"].norm
            for data in graph.nodes.values()
            if data["upstream_gradient"]
            and data["value"].shape == tuple(parameter.shape)
            and data["kind"] == "parameter"
        ]
        assert norms == [pytest.approx(parameter.grad.norm().item(), rel=1e-5)]


@needs_cuda
def test_a_trace_in_another_stream() -> None:
    model, x = large()
    usual = traced(Program(lambda: model(x).sum().backward(), model))
    model.zero_grad()
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with gradtrace.trace(model) as graph:
        with torch.cuda.stream(stream):
            loss = model(x).sum()
        torch.cuda.current_stream().wait_stream(stream)
        loss.backward()
    assert not graph.check().failed
    assert spelled(graph) == spelled(usual)
    for node, data in usual.nodes(data=True):
        assert_alike(graph.nodes[node]["value"], data["value"], node)
        assert_alike(graph.nodes[node]["upstream_gradient"], data["upstream_gradient"], node)


@needs_cuda
def test_a_model_behind_a_cuda_graph_is_one_call() -> None:
    torch.manual_seed(0)
    model, x = nn.Linear(60, 50).cuda(), torch.randn(40, 60, device="cuda")
    graphed = torch.cuda.make_graphed_callables(model, (x,))
    with gradtrace.trace() as graph:
        graphed(x).sum().backward()
    assert not graph.check().failed
    expected = torch.ones(40, 50, device="cuda").T @ x
    torch.testing.assert_close(model.weight.grad, expected)
