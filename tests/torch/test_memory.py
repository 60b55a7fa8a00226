"""Whether tensors whose elements cannot be read are said to be not computed, and crash nothing."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

import gradtrace
from gradtrace.recording.ledger import Layout, Page, slots_of
from gradtrace.recording.observer import Schedule
from gradtrace_torch.compiled import Sheet, moments_of
from gradtrace_torch.elements import is_there
from gradtrace_torch.readings import Reading
from gradtrace_torch.recording.parameters import Parameters
from gradtrace_torch.recording.reductions import histogram, measure
from gradtrace_torch.statistics import Meter

pytestmark = [
    pytest.mark.filterwarnings("ignore:Sparse CSR tensor support"),
    pytest.mark.filterwarnings("ignore:ComplexHalf support"),
]

LARGE = 5000


def without_memory(tensor: Tensor, *, left: int = 0) -> Tensor:
    tensor.untyped_storage().resize_(left)
    return tensor


def escaped(transform: Callable[..., Callable[[Tensor], Tensor]], *shape: int) -> Tensor:
    """Return a tensor that got out of a transform, as into a list of the user's."""
    found: list[Tensor] = []

    def function(x: Tensor) -> Tensor:
        found.append(x)
        return x.sum()

    transform(function)(torch.randn(shape))
    return found[0]


def fake() -> Tensor:
    with FakeTensorMode():
        return torch.randn(LARGE)


def fake_parameter() -> Tensor:
    with FakeTensorMode():
        return nn.Linear(100, 100).weight


def unreadable_class() -> Tensor:
    class Opaque(Tensor):
        @staticmethod
        def __new__(cls, size: int) -> Opaque:
            return Tensor._make_wrapper_subclass(cls, (size,))  # type: ignore[attr-defined,no-any-return]

        @classmethod
        def __torch_dispatch__(cls, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            raise NotImplementedError(f"{function} is not implemented")

    return Opaque(LARGE)


UNREADABLE: dict[str, Callable[[], Tensor]] = {
    "freed": lambda: without_memory(torch.randn(LARGE)),
    "freed_small": lambda: without_memory(torch.randn(5)),
    "freed_half": lambda: without_memory(torch.randn(LARGE).half()),
    "freed_transposed": lambda: without_memory(torch.randn(50, 100).T),
    "freed_parameter": lambda: without_memory(nn.Parameter(torch.randn(LARGE))),
    "shrunk": lambda: without_memory(torch.randn(4_000_000), left=16),
    "out_of_grad": lambda: escaped(torch.func.grad, LARGE),
    "out_of_grad_small": lambda: escaped(torch.func.grad, 3),
    "out_of_vmap": lambda: escaped(torch.func.vmap, 3, LARGE),
    "out_of_functionalize": lambda: escaped(torch.func.functionalize, LARGE),
    "out_of_functionalize_small": lambda: escaped(torch.func.functionalize, 3),
    "meta": lambda: torch.randn(LARGE, device="meta"),
    "float4": lambda: torch.zeros(LARGE, dtype=torch.float4_e2m1fn_x2),
    "bits": lambda: torch.zeros(LARGE, dtype=torch.bits8),
    "four_bits": lambda: torch.zeros(LARGE, dtype=torch.uint4),
    "fake": fake,
    "fake_parameter": fake_parameter,
    "unreadable_class": unreadable_class,
}
"""Tensors without elements that can be read."""


@pytest.mark.parametrize("keep", ["summary", "small", "all"])
@pytest.mark.parametrize("name", UNREADABLE)
def test_what_cannot_be_read_is_not_computed(name: str, keep: str) -> None:
    tensor = UNREADABLE[name]()
    reading, meter = Reading(), Meter(keep)
    meter.read(reading, tensor)
    meter.resolve()
    summary = meter.summary(reading)
    assert summary.shape == tuple(tensor.shape)
    if name != "out_of_grad" or keep != "all":  # `clone` of that one gives its elements
        assert summary.norm is None
        assert summary.mean is None
    assert measure(tensor) is None
    assert moments_of(tensor) is None
    assert not Sheet().note(0, tensor)
    assert histogram(tensor) is None


@pytest.mark.parametrize("histograms", [False, True])
def test_a_parameter_freed_while_an_optimizer_stepped(histograms: bool) -> None:
    parameter = nn.Parameter(torch.full((7,), 2.0))
    parameters = Parameters([("weight", parameter)], Layout(), Page(), lambda tensor: None)
    parameters.schedule = Schedule(histograms=histograms)  # those take the way in Python
    stepped = parameters.all
    parameters.before_step(stepped, None, gradients=False)
    without_memory(parameter.data)
    parameters.after_step(stepped, gradients=False)
    parameters.turn()
    page = parameters.page
    assert not page.all_rows
    assert slots_of(page.tables[0][0]).tolist() == []


def test_memory_that_is_there() -> None:
    x = torch.randn(20, 30)
    views = [x, x.T, x[3:, ::2], x[0], x.expand(2, 20, 30), x.as_strided((5, 5), (1, 1), 7)]
    assert all(map(is_there, [*views, torch.empty(0, 3), torch._efficientzerotensor(9)]))


@pytest.mark.parametrize("keep", ["summary", "small", "all"])
@pytest.mark.parametrize("size", [5, LARGE])
def test_an_activation_freed_in_the_block(size: int, keep: str) -> None:
    x = torch.randn(size, requires_grad=True)
    with gradtrace.trace(keep=keep) as graph:
        y = x * 2
        z = y.exp() + 1
        y.untyped_storage().resize_(0)
        w = y.detach() if keep == "summary" else z
        (z.sum() + w.numel()).backward()
    assert torch.equal(x.grad, 2 * (2 * x.detach()).exp())  # type: ignore[arg-type]
    expected = None if size == 5 else pytest.approx(2 * x.detach().double().norm().item())
    assert graph.nodes["mul"]["value"].norm == expected
    assert "not computed" in str(graph) or size != 5
    assert graph.check().ok


@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "not compiled"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_memory_that_was_read_can_be_resized(
    dtype: torch.dtype, compiled: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not compiled:
        for place in ("statistics", "recording.reductions"):
            monkeypatch.setattr(f"gradtrace_torch.{place}.moments_of", lambda *_, **options: None)
    model = nn.Sequential(nn.Linear(90, 90), nn.Tanh()).to(dtype)
    weight, x = model[0].weight, torch.randn(8, 90, dtype=dtype)
    options: dict[str, Any] = {"histograms_every": 1, "snapshots_every": 2}
    with gradtrace.record(model, tmp_path / "run", **options) as recorder:
        for _ in range(3):
            y = model(x)
            y.sum().backward()
            recorder.step()
    assert weight.grad is not None
    for each in (weight, weight.grad, x, y):
        each.untyped_storage().resize_(0)  # raises where NumPy has seen it


@pytest.mark.parametrize("keep", ["summary", "small", "all"])
@pytest.mark.parametrize("size", [8, 100])
@pytest.mark.parametrize("layout", ["to_sparse", "to_sparse_csr"])
def test_the_zeros_that_a_sparse_tensor_leaves_out_count(layout: str, size: int, keep: str) -> None:
    dense = torch.randn(size, size, dtype=torch.float64).abs() * (torch.rand(size, size) > 0.7)
    sparse = getattr(dense, layout)()
    reading, meter = Reading(), Meter(keep)
    meter.read(reading, sparse)
    meter.resolve()
    summary = meter.summary(reading)
    assert summary.min == 0.0
    assert summary.max == dense.max().item()
    assert summary.mean == pytest.approx(dense.mean().item())
    assert summary.std == pytest.approx(dense.std(correction=0).item())


def test_extremes_that_were_not_asked_for_are_not_computed_of_sparse_tensors_either() -> None:
    sparse = torch.eye(4).to_sparse()
    sums, whole = measure(sparse), measure(sparse, extremes=True)
    assert sums is not None
    assert whole is not None
    assert sums[:3] == whole[:3] == (16.0, 4.0, 4.0)
    assert all(map(math.isnan, sums[3:6]))
    assert whole[3:6] == (0.0, 1.0, 12.0)


@pytest.mark.parametrize("keep", ["summary", "all"])
def test_complex_numbers_of_half_precision(keep: str) -> None:
    x = torch.tensor([3 + 4j, 0.5j]).to(torch.complex32)
    reading, meter = Reading(), Meter(keep)
    meter.read(reading, x)
    meter.resolve()
    assert meter.summary(reading).norm == pytest.approx(math.sqrt(25.25))


@pytest.mark.parametrize("keep", ["summary", "small", "all"])
def test_what_has_no_elements_is_computed(keep: str) -> None:
    view = torch.ones(3).expand(0, 3)
    assert view.untyped_storage().nbytes() > 0
    reading, meter = Reading(), Meter(keep)
    meter.read(reading, view)
    meter.resolve()
    assert meter.summary(reading).norm == 0.0


def test_a_constant_does_not_vary() -> None:
    reading, meter = Reading(), Meter("summary")
    meter.read(reading, torch.full((LARGE,), 0.1))
    assert meter.summary(reading).std == 0.0
