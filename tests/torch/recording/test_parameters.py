"""Every number that is recorded of a parameter, against the same training without a recorder."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

import gradtrace
from gradtrace.recording.ledger import Layout
from gradtrace_torch.recording.parameter import Parameter
from gradtrace_torch.recording.reductions import measure
from tests.torch.recording.oracle import Truth, assert_recorded, twin
from tests.torch.recording.trainings import read

OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01),
    "AdamW": lambda p: torch.optim.AdamW(p, lr=0.01),
    "AdamW foreach": lambda p: torch.optim.AdamW(p, lr=0.01, foreach=True),
    "Adam fused": lambda p: torch.optim.Adam(p, lr=0.01, fused=True),
    "Rprop": lambda p: torch.optim.Rprop(p, lr=0.01),
}


def net() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(5, 300), nn.Tanh(), nn.LayerNorm(300), nn.Linear(300, 120))


def batch(step: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(step)
    return torch.randn(7, 5, generator=generator), torch.randn(7, 120, generator=generator)


def train(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    *,
    steps: int,
    micro: int = 1,
    clip: float | None = None,
    before: Callable[[int, str], None] = lambda step, moment: None,
    after: Callable[[int, float], None] = lambda step, loss: None,
) -> None:
    for step in range(steps):
        total = 0.0
        for part in range(micro):
            x, y = batch(step * micro + part)
            loss = mse_loss(model(x), y) / micro
            loss.backward()
            total += loss.item()
        before(step, "accumulated")
        if clip is not None:
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        before(step, "clipped")
        optimizer.step()
        before(step, "stepped")
        optimizer.zero_grad()
        after(step, total)


def truth_of(model: nn.Module, optimizer: torch.optim.Optimizer, **options: Any) -> Truth:
    truth = Truth()
    values = {name: p.detach().double().clone() for name, p in model.named_parameters()}

    def tell(step: int, moment: str) -> None:
        for name, p in model.named_parameters():
            if moment == "accumulated":
                truth.tell(step, "unclipped gradient", name, p.grad)
            elif moment == "clipped":
                truth.tell(step, "gradient", name, p.grad)
            else:
                update = (p.detach().double() - values[name]).norm().item()
                truth.say(step, "update", name, norm=update)
                truth.say(step, "update ratio", name, norm=update / p.double().norm().item())
                truth.tell(step, "value", name, p)
                values[name] = p.detach().double().clone()

    train(model, optimizer, before=tell, **options)
    return truth


@pytest.mark.parametrize("clip", [None, 0.05])
@pytest.mark.parametrize("micro", [1, 3])
@pytest.mark.parametrize("kind", OPTIMIZERS)
@pytest.mark.parametrize("manual", [True, False])
def test_parameters_are_recorded_as_they_are(
    tmp_path: Path, kind: str, micro: int, clip: float | None, manual: bool
) -> None:
    model, options = net(), {"steps": 4, "micro": micro, "clip": clip}
    other = twin(model)
    truth = truth_of(other, OPTIMIZERS[kind](other.parameters()), **options)
    state = torch.random.get_rng_state()
    optimizer = OPTIMIZERS[kind](model.parameters())
    with gradtrace.record(model, tmp_path / "run", large_every=1) as recorder:
        say = (lambda step, loss: recorder.step(loss=loss)) if manual else (lambda step, loss: None)
        train(model, optimizer, after=say, **options)
    assert torch.equal(torch.random.get_rng_state(), state)
    for (name, p), (_, q) in zip(model.named_parameters(), other.named_parameters(), strict=True):
        assert torch.equal(p, q), name
    # an update is a small difference of large numbers, in float32 here
    assert_recorded(tmp_path / "run", truth, rtol=2e-4)
    run = gradtrace.open_recording(tmp_path / "run")
    assert run.steps.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("anew", [True, False], ids=["new optimizer", "same optimizer"])
def test_a_parameter_may_take_the_place_of_another(tmp_path: Path, anew: bool) -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    expected: dict[str, list[float]] = {"gradient": [], "value": [], "update": []}
    gone: Any = None
    with gradtrace.record(model, tmp_path / "run", large_every=1) as recorder:
        for step in range(6):
            if step == 3:
                gone = model[0].weight
                model[0].weight = nn.Parameter(gone.detach() * 2)
                if anew:
                    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                else:
                    group = optimizer.param_groups[0]["params"]
                    group[:] = [model[0].weight if each is gone else each for each in group]
            x, y = batch(step)
            mse_loss(model(x), y).backward()
            weight = model[0].weight
            before = weight.detach().clone()
            assert weight.grad is not None
            expected["gradient"].append(weight.grad.norm().item())
            optimizer.step()
            expected["value"].append(weight.norm().item())
            expected["update"].append((weight - before).norm().item())
            optimizer.zero_grad()
            recorder.step()
    run = gradtrace.open_recording(tmp_path / "run")
    for quantity, numbers in expected.items():
        matrix = run.matrix(quantity)
        column = matrix.values[:, matrix.nodes.index("0.weight")]
        assert column.tolist() == pytest.approx(numbers, rel=1e-4), quantity
    assert not gone._post_accumulate_grad_hooks
    assert not model[0].weight._post_accumulate_grad_hooks


def test_a_module_may_take_the_place_of_another(tmp_path: Path) -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    outputs: list[float] = []
    with gradtrace.record(model, tmp_path / "run", large_every=1) as recorder:
        for step in range(6):
            if step == 2:
                model[3] = nn.Linear(300, 120)
                optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            x, y = batch(step)
            out = model(x)
            outputs.append(out.norm().item())
            mse_loss(out, y).backward()
            optimizer.step()
            optimizer.zero_grad()
            recorder.step()
    matrix = gradtrace.open_recording(tmp_path / "run").matrix("output")
    column = matrix.values[:, matrix.nodes.index("3")]
    assert column[[0, 1, 3, 4, 5]].tolist() == pytest.approx([*outputs[:2], *outputs[3:]], rel=1e-4)
    assert math.isnan(column[2])  # it was met as the optimizer stepped
    assert not any(module._forward_hooks for module in model)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_a_gradient_is_new_until_it_is_measured(dtype: torch.dtype) -> None:
    weight = nn.Parameter(torch.ones(9, dtype=dtype))
    weight.grad = torch.arange(9).to(dtype)
    followed = Parameter("weight", weight, Layout())

    def is_new() -> bool:
        gradient = followed.unread_gradient()
        assert gradient is not None
        return followed.learn_gradient(gradient, measure(gradient), None)

    assert [is_new(), is_new()] == [True, False]
    weight.grad.data[3] = 7  # no version counts it
    assert [is_new(), is_new()] == [True, False]


@pytest.mark.parametrize("counted", [0, 1, 2])
def test_a_gradient_is_clipped_steps_after_it_accumulated(tmp_path: Path, counted: int) -> None:
    weight = nn.Linear(3, 1, bias=False)
    optimizer = torch.optim.SGD(weight.parameters(), lr=0.1)
    x = torch.tensor([[3.0, 0.0, 4.0]])
    options: dict[str, Any] = {"histograms_every": counted or None, "snapshots_every": None}
    with gradtrace.record(weight, tmp_path / "run", optimizer=optimizer, **options) as recorder:
        for _ in range(3):
            weight(x).sum().backward()
            recorder.step()
            nn.utils.clip_grad_norm_(weight.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            recorder.step()
    run = gradtrace.open_recording(tmp_path / "run")
    assert read(run, "gradient", "weight")[1::2] == pytest.approx([1.0] * 3)
    assert read(run, "unclipped gradient", "weight") == pytest.approx([5.0] * 6)


def test_magnitudes_of_a_large_value_are_counted_though_it_is_not_read_again(
    tmp_path: Path,
) -> None:
    model = nn.Sequential(nn.Linear(200, 200).requires_grad_(False), nn.Linear(200, 1))
    optimizer = torch.optim.SGD(model[1].parameters(), lr=0.1)
    options: dict[str, Any] = {"large_every": 4, "histograms_every": 3, "snapshots_every": None}
    with gradtrace.record(model, tmp_path / "run", optimizer=optimizer, **options) as recorder:
        for _ in range(7):
            model(torch.randn(2, 200)).sum().backward()
            optimizer.step()
            recorder.step()
    found = gradtrace.open_recording(tmp_path / "run").histograms("0.weight", "value")
    assert found.steps.tolist() == [0, 3, 6]
    assert found.counts.sum(axis=1).tolist() == [40_000] * 3


def test_a_rank_that_steps_before_its_model_has_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = "gradtrace_torch.recording.follower.place_in_world"
    monkeypatch.setattr(place, lambda: (0, 2))  # there, parameters are looked up as it runs
    with gradtrace.record(nn.Linear(3, 2), tmp_path / "run") as recorder:
        for _ in range(3):
            recorder.step()
    counts = gradtrace.open_recording(tmp_path / "run").matrix("value", "count")
    assert counts.only(["weight"]).values.tolist() == [[6.0]] * 3
