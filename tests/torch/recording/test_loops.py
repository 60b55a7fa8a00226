"""Loops as people write them, each recorded as it is."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import gradtrace
from tests.torch.recording.oracle import Truth, assert_recorded
from tests.torch.recording.trainings import mlp, read


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
