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
from tests.torch.recording.trainings import mlp, read


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
    assert read(run, "output", "", "nan") == [2.0 * math.isnan(bad)]
    assert read(run, "output", "", "infinite") == [2.0 * math.isinf(bad)]
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


def test_a_scaler_left_over_from_another_training_scales_nothing(tmp_path: Path) -> None:
    left_over = torch.amp.GradScaler("cpu", init_scale=1024.0)
    left_over.scale(torch.ones(()))
    model = nn.Linear(4, 2)
    with gradtrace.record(model, tmp_path / "run") as recorder:
        model(torch.randn(5, 4)).sum().backward()
        recorder.step()
    assert left_over.is_enabled()
    recorded = gradtrace.open_recording(tmp_path / "run").matrix("gradient", "norm")
    assert recorded.values[0, recorded.nodes.index("bias")] == pytest.approx(5 * math.sqrt(2))


def test_an_inference_tensor_that_a_module_hands_on(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Identity())
    with torch.inference_mode():
        features = [torch.full((2, 3), 2.0), torch.full((400, 300), 3.0)]
    with gradtrace.record(model, tmp_path / "run", large_every=1) as recorder:
        for each in features:
            assert torch.equal(model(each), each)
            recorder.step()
    matrix = gradtrace.open_recording(tmp_path / "run").matrix("output", "rms")
    assert matrix.values.tolist() == [[pytest.approx(2.0)] * 3, [pytest.approx(3.0)] * 3]


def test_a_module_whose_gradients_go_another_way_in_each_call(tmp_path: Path) -> None:
    linear = nn.Linear(8, 8)
    shapes = [(2, 300, 8), (2, 300, 8), (5, 8)]
    expected = []
    with gradtrace.record(linear, tmp_path / "run") as recorder:
        for step in range(3):
            torch.manual_seed(step)
            inputs = [torch.randn(shape, requires_grad=True) * 1 for shape in shapes]
            for each in inputs:
                each.retain_grad()
            sum(linear(each).pow(2).sum() for each in inputs).backward()
            gradients = [each.grad for each in inputs]
            expected.append(math.sqrt(sum(g.pow(2).sum().item() for g in gradients)))
            recorder.step()
    matrix = gradtrace.open_recording(tmp_path / "run").matrix("downstream gradient", "norm")
    assert matrix.values[:, 0].tolist() == pytest.approx(expected, rel=1e-5)
