"""Whether a training on a GPU is recorded as one on the CPU, without waiting for the device."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import gradtrace
from gradtrace.recording.sample import QUANTITIES
from tests.torch.devices import DEVICE, needs_cuda, needs_device, nothing_waits

pytestmark = needs_device

STEPS = 4
STATISTICS = ("norm", "min", "max", "zeros", "saturated", "nonfinite", "count")


def error(found: Tensor, wanted: Tensor) -> Tensor:
    return (found - wanted).pow(2).mean()


def network(dtype: torch.dtype = torch.float64) -> nn.Module:
    torch.manual_seed(0)
    layers = [nn.Linear(60, 80), nn.ReLU(), nn.LayerNorm(80), nn.Linear(80, 9), nn.Tanh()]
    return nn.Sequential(*layers, nn.Linear(9, 1)).to(dtype)


def batches(dtype: torch.dtype = torch.float64) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(1)
    drawn = torch.randn(STEPS, 50, 61, generator=generator, dtype=torch.float64).to(dtype)
    return [(rows[:, :60], rows[:, 60:]) for rows in drawn]


def train(place: Any, directory: Path, *, poison: bool = False, **options: Any) -> Any:
    """Record a training with clipping, and return the run."""
    model = network().to(place)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    with gradtrace.record(model, directory, optimizer=optimizer, **options) as recorder:
        for number, (x, y) in enumerate(batches()):
            loss = error(model(x.to(place)), y.to(place))
            loss.backward()
            if poison and number == 2:
                model[0].weight.grad[3, :5] = math.inf
                model[0].weight.grad[4, :7] = math.nan
            nn.utils.clip_grad_norm_(model.parameters(), 0.1)
            optimizer.step()
            optimizer.zero_grad()
            recorder.step(loss=loss)
    return gradtrace.open_recording(directory)


@pytest.mark.parametrize("poison", [False, True])
def test_numbers_are_those_of_the_cpu(tmp_path: Path, poison: bool) -> None:
    options: dict[str, Any] = {"histograms_every": 2, "snapshots_every": None, "poison": poison}
    here = train("cpu", tmp_path / "here", **options)
    there = train(DEVICE, tmp_path / "there", **options)
    np.testing.assert_allclose(there.scalar("loss")[1], here.scalar("loss")[1], rtol=1e-9)
    compared = 0
    for quantity in QUANTITIES.keys() - {"local gradient"}:
        for statistic in STATISTICS:
            expected = here.matrix(quantity, statistic)
            found = there.matrix(quantity, statistic)
            # what would cost a further pass on a device is left out there
            here_too = expected.values[:, [expected.nodes.index(node) for node in found.nodes]]
            known = ~np.isnan(here_too) & ~np.isnan(found.values)
            np.testing.assert_allclose(found.values[known], here_too[known], rtol=1e-7, atol=1e-12)
            compared += known.sum()
    assert compared > 700
    for node, quantity in (("0.weight", "gradient"), ("3.bias", "update"), ("5.weight", "value")):
        found, expected = (run.histograms(node, quantity).counts for run in (there, here))
        assert expected.sum() > 0
        np.testing.assert_array_equal(found, expected)


@needs_cuda  # on the pretended device, `to` makes other parameters, which nobody steps
def test_a_model_that_moves_to_the_device_in_between(tmp_path: Path) -> None:
    updates = []
    for place in ("cpu", DEVICE):
        model = network()
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-2)
        run = tmp_path / str(place)
        with gradtrace.record(model, run, optimizer=optimizer, histograms_every=1) as recorder:
            for number, (x, y) in enumerate(batches()):
                if number == 2:
                    model.to(place)
                there = place if number >= 2 else "cpu"
                error(model(x.to(there)), y.to(there)).backward()
                optimizer.step()
                optimizer.zero_grad()
                recorder.step()
        updates.append(gradtrace.open_recording(run).matrix("update", "norm").values)
    np.testing.assert_allclose(updates[1], updates[0], rtol=1e-7)


@pytest.mark.parametrize("histograms", [None, 1])
@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.AdamW])
def test_nothing_in_a_step_waits_for_the_device(
    tmp_path: Path, histograms: int | None, optimizer: Callable[..., torch.optim.Optimizer]
) -> None:
    model = network().to(DEVICE)
    stepper = optimizer(model.parameters(), lr=1e-2)
    given = [(x.to(DEVICE), y.to(DEVICE)) for x, y in batches()]
    options: dict[str, Any] = {"histograms_every": histograms, "snapshots_every": None}
    with gradtrace.record(model, tmp_path / "run", optimizer=stepper, **options) as recorder:
        for number, (x, y) in enumerate(given):

            def step(x: Tensor = x, y: Tensor = y) -> None:
                loss = error(model(x), y)
                loss.backward()
                stepper.step()
                stepper.zero_grad()
                recorder.step(loss=loss)

            if number == 0:
                step()  # what is made once, such as handles of libraries
                continue
            with nothing_waits():
                step()
    run = gradtrace.open_recording(tmp_path / "run")
    assert run.steps.tolist() == list(range(STEPS))
    assert np.isfinite(run.matrix("update", "norm").values).all()


def test_waiting_is_caught(tmp_path: Path) -> None:
    model, (x, _) = network().to(DEVICE), batches()[0]
    x = x.to(DEVICE)
    recorder = gradtrace.record(model, tmp_path / "run")
    recorder.start()
    with nothing_waits(), pytest.raises(RuntimeError, match=r"wait|synchroniz"):
        recorder.step(loss=model(x).sum().item())
    recorder.close()


def test_a_snapshot_of_a_training_on_the_device(tmp_path: Path) -> None:
    run = train(DEVICE, tmp_path / "run", snapshots_every=2)
    assert len(list((tmp_path / "run").rglob("*.gradtrace"))) == 2
    (first, *_) = sorted((tmp_path / "run").rglob("*.gradtrace"))
    graph = gradtrace.load(first)
    assert not graph.check().failed
    assert graph.nodes["0.weight"]["value"].device == str(DEVICE)
    assert run.steps.tolist() == list(range(STEPS))


@pytest.mark.parametrize("unscaled", [False, True])
def test_gradients_are_recorded_without_the_scale(tmp_path: Path, unscaled: bool) -> None:
    model, plain = network(torch.float32).to(DEVICE), network(torch.float32).to(DEVICE)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-2)
    other = torch.optim.SGD(plain.parameters(), lr=1e-2)
    scaler = torch.amp.GradScaler(DEVICE.type, init_scale=1024.0, growth_interval=2)
    expected: list[dict[str, float]] = []
    with gradtrace.record(model, tmp_path / "run", optimizer=optimizer) as recorder:
        for x, y in batches(torch.float32):
            x, y = x.to(DEVICE), y.to(DEVICE)
            error(plain(x), y).backward()
            expected.append({n: p.grad.norm().item() for n, p in plain.named_parameters()})
            other.step()
            other.zero_grad()
            scaler.scale(error(model(x), y)).backward()
            if unscaled:
                scaler.unscale_(optimizer)
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad()
            recorder.step()
    run = gradtrace.open_recording(tmp_path / "run")
    assert run.scalar("scale")[1].tolist() == [1024.0, 1024.0, 2048.0, 2048.0]
    matrix = run.matrix("gradient", "norm")
    for row, norms in zip(matrix.values, expected, strict=True):
        for node, norm in norms.items():
            assert row[matrix.nodes.index(node)] == pytest.approx(norm, rel=1e-4), node


@needs_cuda
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_autocast_is_near_the_training_in_double_precision(
    tmp_path: Path, dtype: torch.dtype
) -> None:
    exact = train("cpu", tmp_path / "exact", snapshots_every=None)
    model = network(torch.float32).cuda()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    scaler = torch.amp.GradScaler("cuda", init_scale=256.0, enabled=dtype is torch.float16)
    with gradtrace.record(model, tmp_path / "run", optimizer=optimizer) as recorder:
        for x, y in batches(torch.float32):
            with torch.autocast("cuda", dtype):
                loss = error(model(x.cuda()).float(), y.cuda())
            scaler.scale(loss).backward()
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(model.parameters(), 0.1)
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad()
            recorder.step(loss=loss)
    run = gradtrace.open_recording(tmp_path / "run")
    for quantity in ("value", "unclipped gradient", "upstream gradient"):
        found, expected = (each.matrix(quantity, "norm") for each in (run, exact))
        np.testing.assert_allclose(found.values[0], expected.values[0], rtol=0.1)


@needs_cuda
def test_a_training_in_another_stream(tmp_path: Path) -> None:
    usual = train(DEVICE, tmp_path / "usual", snapshots_every=None)
    with torch.cuda.stream(torch.cuda.Stream()):
        other = train(DEVICE, tmp_path / "other", snapshots_every=None)
    for quantity in ("gradient", "update", "output", "upstream gradient"):
        found, expected = (run.matrix(quantity, "norm").values for run in (other, usual))
        np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_a_model_in_part_on_the_device(tmp_path: Path) -> None:
    first, second = nn.Linear(6, 5), nn.Linear(5, 1).to(DEVICE)

    class Split(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = first, second

        def forward(self, x: Tensor) -> Tensor:
            return self.second(self.first(x).to(DEVICE)).cpu()

    model = Split()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with gradtrace.record(model, tmp_path / "run", histograms_every=1) as recorder:
        model(torch.ones(3, 6)).sum().backward()
        optimizer.step()
        recorder.step()
    run = gradtrace.open_recording(tmp_path / "run")
    for name, parameter in model.named_parameters():
        matrix = run.matrix("gradient", "norm")
        found = matrix.values[0, matrix.nodes.index(name)]
        assert found == pytest.approx(parameter.grad.norm().item(), rel=1e-6)
        assert run.histograms(name, "gradient").counts.sum() == parameter.numel()
