"""Trainings that are out of the ordinary."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import gradtrace
from gradtrace.recording.sample import BINS, EDGES
from tests.torch.recording.oracle import Truth, assert_recorded


def mlp() -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))


def read(
    run: gradtrace.Recording, quantity: str, node: str, statistic: str = "norm"
) -> list[float]:
    matrix = run.matrix(quantity, statistic)
    return [float(number) for number in matrix.values[:, matrix.nodes.index(node)]]


def test_a_parameter_without_gradient_is_not_computed(tmp_path: Path) -> None:
    model = nn.ModuleDict(
        {"used": nn.Linear(3, 1), "idle": nn.Linear(3, 1), "cold": nn.Linear(3, 1)}
    )
    model["cold"].requires_grad_(False)
    optimizer = torch.optim.SGD(model["used"].parameters(), lr=0.1)
    with gradtrace.record(model, tmp_path / "run") as recorder:
        for _ in range(2):
            model["cold"](model["used"](torch.ones(2, 3)).expand(2, 3)).sum().backward()
            optimizer.step()
            recorder.step()
    run = gradtrace.open_recording(tmp_path / "run")
    for node in ("idle.weight", "cold.weight"):
        assert all(map(math.isnan, read(run, "gradient", node)))
        assert all(map(math.isnan, read(run, "gradient", node, "count")))
        assert all(map(math.isnan, read(run, "update", node)))
        expected = model.get_parameter(node).norm().item()
        assert read(run, "value", node) == pytest.approx([expected] * 2)
    assert not any(map(math.isnan, read(run, "gradient", "used.weight")))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_counted(tmp_path: Path, bad: float) -> None:
    model = nn.Linear(3, 2)
    with gradtrace.record(model, tmp_path / "run", histograms_every=1) as recorder:
        x = torch.tensor([[1.0, 1.0, 2.0], [0.0, bad, 0.0]])
        model(x)[:, 0].sum().backward()
        recorder.step()
    run = gradtrace.open_recording(tmp_path / "run")
    assert read(run, "gradient", "weight", "nonfinite") == [
        (~model.weight.grad.isfinite()).sum().item()
    ]
    assert read(run, "gradient", "weight", "count") == [6.0]
    assert math.isnan(read(run, "gradient", "weight")[0])
    assert read(run, "output", "", "nonfinite") == [2.0]
    counts = run.histograms("weight", "gradient").counts[0]
    gradient = model.weight.grad
    assert counts.sum() == 6 - gradient.isnan().sum().item()
    assert counts[-1] == gradient.isinf().sum().item()


@pytest.mark.parametrize("scale", [1e-25, 1e-12, 1.0, 1e12, 1e25])
def test_norms_neither_overflow_nor_vanish(tmp_path: Path, scale: float) -> None:
    model = nn.Linear(40, 50)
    with gradtrace.record(model, tmp_path / "run") as recorder:
        (model(torch.randn(3, 40)).sum() * scale).backward()
        recorder.step()
    truth = Truth()
    truth.tell(0, "gradient", "weight", model.weight.grad)
    assert_recorded(tmp_path / "run", truth)


def test_odd_parameters(tmp_path: Path) -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(10, 3, sparse=True)
            self.wave = nn.Parameter(torch.randn(3, dtype=torch.complex64))
            self.empty = nn.Parameter(torch.empty(0, 3))
            self.turned = nn.Parameter(torch.randn(3, 5).t())
            self.narrow = nn.Parameter(torch.randn(3).bfloat16())
            self.number = nn.Parameter(torch.tensor(2.0))

        def forward(self, index: Tensor) -> Tensor:
            rows = self.table(index) * self.narrow.float() * self.number
            return (
                (rows @ self.turned.t()[:3]).abs().sum()
                + (self.wave * 2).abs().sum()
                + (self.empty.sum())
            )

    torch.manual_seed(0)
    model = Odd()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    truth = Truth()
    old = {name: p.detach().clone() for name, p in model.named_parameters()}
    with gradtrace.record(model, tmp_path / "run", optimizer=optimizer) as recorder:
        model(torch.tensor([1, 4, 4])).backward()
        for name, p in model.named_parameters():
            if p.numel():
                truth.tell(0, "gradient", name, p.grad)
        optimizer.step()
        recorder.step()
    for name, p in model.named_parameters():
        if p.numel():
            truth.tell(0, "value", name, p, "norm", "rms", "count")
            truth.tell(0, "update", name, p.detach() - old[name], "norm")
    truth.say(0, "gradient", "empty", norm=0.0, count=0.0, nonfinite=0.0)
    assert_recorded(tmp_path / "run", truth)


def test_tied_parameters_are_one(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    model[1].weight = model[0].weight
    with gradtrace.record(model, tmp_path / "run") as recorder:
        model(torch.randn(2, 4)).sum().backward()
        recorder.step()
    run = gradtrace.open_recording(tmp_path / "run")
    assert read(run, "gradient", "0.weight") == pytest.approx([model[0].weight.grad.norm().item()])
    assert "1.weight" not in run.nodes("gradient")


def test_histograms_count_every_element(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(30, 40), nn.Linear(40, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    expected: dict[str, np.ndarray[Any, Any]] = {}

    def counts(tensor: Tensor) -> np.ndarray[Any, Any]:
        bins = np.searchsorted(EDGES, tensor.detach().abs().double().numpy().ravel(), side="right")
        return np.bincount(bins, minlength=BINS)

    with gradtrace.record(model, tmp_path / "run", histograms_every=2) as recorder:
        for step in range(4):
            old = model[0].weight.detach().clone()
            model(torch.randn(5, 30) * 10.0 ** (-step)).sum().backward()
            if step == 2:
                expected["gradient"] = counts(model[0].weight.grad)
            optimizer.step()
            optimizer.zero_grad()
            if step == 2:
                expected["value"] = counts(model[0].weight)
                expected["update"] = counts(model[0].weight - old)
            recorder.step()
    run = gradtrace.open_recording(tmp_path / "run")
    for quantity, wanted in expected.items():
        found = run.histograms("0.weight", quantity)
        assert found.steps.tolist() == [0, 2]
        assert found.counts[1].tolist() == wanted.tolist(), quantity


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpoints_are_measured_once(tmp_path: Path, reentrant: bool) -> None:
    class Saving(nn.Module):
        def __init__(self, saves: bool) -> None:
            super().__init__()
            self.block, self.head, self.saves = mlp(), nn.Linear(2, 1), saves

        def forward(self, x: Tensor) -> Tensor:
            if self.saves:
                return self.head(checkpoint(self.block, x, use_reentrant=reentrant))
            return self.head(self.block(x))

    found = []
    x = torch.randn(5, 4)
    for saves in (False, True):
        torch.manual_seed(0)
        model = Saving(saves)
        with gradtrace.record(model, tmp_path / str(saves), snapshots_every=None) as recorder:
            model(x.clone().requires_grad_()).sum().backward()
            recorder.step()
        run = gradtrace.open_recording(tmp_path / str(saves))
        found.append(
            {
                (quantity, node): read(run, quantity, node, statistic)[0]
                for quantity in ("gradient", "output", "upstream gradient", "downstream gradient")
                for node in run.nodes(quantity)
                for statistic in ("norm", "count")
            }
        )
    assert found[1] == pytest.approx(found[0], nan_ok=True)
    assert ("upstream gradient", "block.0") in found[0]


def test_a_gradient_penalty_is_no_second_backward(tmp_path: Path) -> None:
    model = mlp()
    x = torch.randn(5, 4, requires_grad=True)
    with gradtrace.record(model, tmp_path / "run", snapshots_every=None) as recorder:
        out = model(x).sum()
        torch.autograd.grad(out, x, retain_graph=True)
        out.backward()
        recorder.step()
    run = gradtrace.open_recording(tmp_path / "run")
    assert read(run, "upstream gradient", "2", "count") == [10.0]
    assert read(run, "upstream gradient", "2") == pytest.approx([math.sqrt(10)])


def test_an_evaluation_without_gradient_is_not_recorded(tmp_path: Path) -> None:
    model = mlp()
    with gradtrace.record(model, tmp_path / "run") as recorder:
        for _ in range(2):
            model(torch.randn(5, 4)).sum().backward()
            with torch.no_grad():
                model(torch.randn(100, 4))
            recorder.step()
    run = gradtrace.open_recording(tmp_path / "run")
    assert read(run, "output", "0", "count") == [40.0, 40.0]


def test_several_optimizers_share_a_step(tmp_path: Path) -> None:
    model = nn.ModuleDict({"one": mlp(), "two": mlp()})
    optimizers = [
        torch.optim.SGD(part.parameters(), lr=0.1 * n) for n, part in enumerate(model.values(), 1)
    ]
    with gradtrace.record(model, tmp_path / "run", optimizer=optimizers) as recorder:
        for _ in range(3):
            for part, optimizer in zip(model.values(), optimizers, strict=True):
                part(torch.randn(5, 4)).sum().backward()
                optimizer.step()
                optimizer.zero_grad()
            recorder.step(loss=1.0)
    run = gradtrace.open_recording(tmp_path / "run")
    assert run.steps.tolist() == [0, 1, 2]
    for node in ("one.0.weight", "two.0.weight"):
        assert all(number > 0 for number in read(run, "update", node))
    assert run.scalar("lr/0")[1].tolist() == [0.1] * 3
    assert run.scalar("lr/1")[1].tolist() == [0.2] * 3


def test_an_optimizer_with_a_closure(tmp_path: Path) -> None:
    model, x = nn.Linear(3, 1), torch.randn(4, 3)
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=3)
    truth = Truth()

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = model(x).pow(2).sum()
        loss.backward()
        return loss

    with gradtrace.record(model, tmp_path / "run") as recorder:
        old = model.weight.detach().clone()
        loss = optimizer.step(closure)
        truth.tell(0, "update", "weight", model.weight.detach() - old, "norm")
        truth.tell(0, "gradient", "weight", model.weight.grad, "norm")
        recorder.step(loss=loss)
    assert_recorded(tmp_path / "run", truth)


def test_a_loop_without_optimizer(tmp_path: Path) -> None:
    model = mlp()
    truth = Truth()
    with gradtrace.record(model, tmp_path / "run") as recorder:
        for step in range(2):
            model.zero_grad()
            model(torch.randn(5, 4)).sum().backward()
            with torch.no_grad():
                for p in model.parameters():
                    p -= 0.1 * p.grad
            for name, p in model.named_parameters():
                truth.tell(step, "gradient", name, p.grad)
                truth.tell(step, "value", name, p)
            recorder.step()
    assert_recorded(tmp_path / "run", truth)


def test_outputs_that_are_overwritten(tmp_path: Path) -> None:
    class Overwriting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc, self.act = nn.Linear(4, 4), nn.ReLU(inplace=True)

        def forward(self, x: Tensor) -> Tensor:
            y = self.fc(x)
            y += x
            return self.act(y) + x

    model = Overwriting()
    truth = Truth()
    with gradtrace.record(model, tmp_path / "run", snapshots_every=None) as recorder:
        for step in range(3):
            x = torch.randn(5, 4)
            given = torch.nn.functional.linear(x, model.fc.weight, model.fc.bias)
            before = given + x
            truth.tell(step, "output", "fc", given, "norm")
            truth.tell(step, "output", "act", before.relu(), "norm")
            truth.tell(step, "output", "", before.relu() + x, "norm")
            model(x).pow(2).sum().backward()
            gradient = 2 * (before.relu() + x)
            truth.tell(step, "upstream gradient", "act", gradient, "norm")
            truth.tell(step, "downstream gradient", "act", gradient * (before > 0), "norm")
            truth.tell(step, "upstream gradient", "fc", gradient * (before > 0), "norm")
            recorder.step()
    assert_recorded(tmp_path / "run", truth)


@pytest.mark.parametrize("layer", [nn.Tanh(), nn.Sigmoid(), nn.ReLU()])
@pytest.mark.parametrize("size", [100, 300_000])
def test_zeros_and_saturation(tmp_path: Path, layer: nn.Module, size: int) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(1, 1), layer)
    x = torch.randn(size, 1) * 5
    nn.init.constant_(model[0].weight, 1.0)
    with gradtrace.record(model, tmp_path / "run", snapshots_every=None) as recorder:
        out = model(x)
        out.sum().backward()
        recorder.step()
    run = gradtrace.open_recording(tmp_path / "run")
    node = "1"
    tolerance = 1e-6 if size <= 2**17 else 0.02  # of larger ones a sample is looked at
    zeros = (out == 0).double().mean().item()
    assert read(run, "output", node, "zeros") == pytest.approx([zeros], abs=tolerance)
    if not isinstance(layer, nn.ReLU):
        low, high = (-1, 1) if isinstance(layer, nn.Tanh) else (0, 1)
        margin = (high - low) / 400
        ends = ((out < low + margin) | (out > high - margin)).double().mean().item()
        assert 0.05 < ends < 0.9
        assert read(run, "output", node, "saturated") == pytest.approx([ends], abs=tolerance)
    else:
        assert math.isnan(read(run, "output", node, "saturated")[0])


def test_values_written_through_data_are_seen(tmp_path: Path) -> None:
    """Old code clips with `.data`, which no version counter tells."""
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    truth = Truth()
    with gradtrace.record(model, tmp_path / "run", optimizer=optimizer) as recorder:
        model(torch.randn(5, 4)).sum().backward()
        for name, p in model.named_parameters():
            truth.tell(0, "unclipped gradient", name, p.grad)
            p.grad.data.clamp_(-0.01, 0.01)
            truth.tell(0, "gradient", name, p.grad)
        optimizer.step()
        recorder.step()
    assert_recorded(tmp_path / "run", truth)
