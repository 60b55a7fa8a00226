"""Loops in which gradients come, are clipped and are taken in an order that is rarely met."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import gradtrace
from tests.torch.recording.oracle import Truth, assert_recorded
from tests.torch.recording.trainings import mlp, read


class Functional(nn.Module):
    """A model that is never called, but for a method of it."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 3))

    def loss(self, x: Tensor) -> Tensor:
        return (x @ self.weight).square().mean()


class Pair(nn.Module):
    """Two networks that are trained in turn, the second by way of the first."""

    def __init__(self) -> None:
        super().__init__()
        self.critic, self.actor = nn.Linear(4, 1), nn.Linear(4, 4)


def clip_and_step(
    truth: Truth, step: int, model: nn.Module, name: str, optimizer: torch.optim.Optimizer
) -> None:
    """Clip, then step, and tell what the optimizer is given of the parameters of `name`."""
    named = [(n, p) for n, p in model.named_parameters() if n.startswith(name)]
    for node, parameter in named:
        assert parameter.grad is not None
        truth.tell(step, "unclipped gradient", node, parameter.grad, "norm")
    nn.utils.clip_grad_norm_([p for _, p in named], 0.01)
    before = [p.detach().clone() for _, p in named]
    for node, parameter in named:
        assert parameter.grad is not None
        truth.tell(step, "gradient", node, parameter.grad, "norm")
    optimizer.step()
    for (node, parameter), was in zip(named, before, strict=True):
        truth.tell(step, "update", node, parameter.detach() - was, "norm")


@pytest.mark.parametrize("manual", [False, True])
@pytest.mark.parametrize(
    ("model", "forward"),
    [
        (Functional(), lambda model, x: model.loss(x)),
        (nn.Linear(4, 3), lambda model, x: model.forward(x).square().mean()),
        (nn.Linear(4, 7000), lambda model, x: model(x).square().mean()),
    ],
    ids=["method", "forward", "large"],
)
def test_clipping_is_seen_though_no_module_is(
    tmp_path: Path, model: Any, forward: Callable[[Any, Tensor], Tensor], manual: bool
) -> None:
    truth, optimizer = Truth(), torch.optim.SGD(model.parameters(), lr=0.1)
    with gradtrace.record(model, tmp_path / "run", snapshots_every=None) as recorder:
        for step in range(6):
            optimizer.zero_grad()
            forward(model, torch.randn(5, 4)).backward()
            clip_and_step(truth, step, model, "", optimizer)
            if manual:
                recorder.step()
    assert_recorded(tmp_path / "run", truth)


@pytest.mark.parametrize("together", [False, True])
def test_a_gradient_is_the_one_that_its_optimizer_took(tmp_path: Path, together: bool) -> None:
    model, truth, x = Pair(), Truth(), torch.randn(6, 4)
    critics = torch.optim.Adam(model.critic.parameters(), lr=0.01)
    actors = torch.optim.Adam(model.actor.parameters(), lr=0.01)
    with gradtrace.record(model, tmp_path / "run", histograms_every=1) as recorder:
        for step in range(4):
            model.zero_grad()
            model.critic(x).square().mean().backward()
            if together:
                model.critic(model.actor(x)).mean().backward()
                clip_and_step(truth, step, model, "critic", critics)
            else:
                clip_and_step(truth, step, model, "critic", critics)
                model.critic(model.actor(x)).mean().backward()
            clip_and_step(truth, step, model, "actor", actors)
            recorder.step()
    assert_recorded(tmp_path / "run", truth)
    run = gradtrace.open_recording(tmp_path / "run")
    largest = run.matrix("gradient", "max").only(["critic.weight"]).values[:, 0]
    smallest = run.matrix("gradient", "min").only(["critic.weight"]).values[:, 0]
    counted = run.histograms("critic.weight")
    for row, extreme in zip(counted.counts, np.fmax(largest, -smallest), strict=True):
        highest = np.searchsorted(counted.edges, extreme, side="right")
        assert np.flatnonzero(row).max() == highest


@pytest.mark.parametrize("other", [False, True])
def test_an_optimizer_that_fails_steps_again(tmp_path: Path, other: bool) -> None:
    class Failing(torch.optim.SGD):
        fails = False

        def step(self, closure: Any = None) -> Any:
            if self.fails:
                raise ValueError("out of luck")
            return super().step(closure)

    model, truth = mlp(), Truth()
    optimizer: Any = Failing(model.parameters(), lr=0.1)
    with gradtrace.record(model, tmp_path / "run") as recorder:
        for step in range(4):
            Failing.fails = step == 2
            optimizer.zero_grad()
            model(torch.randn(5, 4)).sum().backward()
            if Failing.fails:
                with pytest.raises(ValueError, match="luck"):
                    optimizer.step()
                Failing.fails = False
                if other:
                    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
            clip_and_step(truth, step, model, "", optimizer)
            recorder.step()
    assert_recorded(tmp_path / "run", truth)


def test_steps_of_the_optimizer_within_a_step(tmp_path: Path) -> None:
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with gradtrace.record(model, tmp_path / "run", histograms_every=2) as recorder:
        for _ in range(3):
            for _ in range(5):
                optimizer.zero_grad()
                model(torch.randn(5, 4)).sum().backward()
                optimizer.step()
            recorder.step(loss=1.0)
    run = gradtrace.open_recording(tmp_path / "run")
    assert run.scalar("loss")[0].tolist() == run.steps.tolist() == [0, 1, 2]
    assert read(run, "output", "0", "count") == [5 * 40.0] * 3


@pytest.mark.parametrize("steps", [5, 20])
def test_histograms_are_those_that_were_asked_for(tmp_path: Path, steps: int) -> None:
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with gradtrace.record(model, tmp_path / "run", histograms_every=2):
        for _ in range(steps):
            optimizer.zero_grad()
            model(torch.randn(5, 4)).sum().backward()
            optimizer.step()
    run = gradtrace.open_recording(tmp_path / "run")
    assert run.steps.tolist() == list(range(steps))
    assert run.histograms("0.weight").steps.tolist() == list(range(0, steps, 2))


@pytest.mark.parametrize("scaled", [False, True])
def test_histograms_of_what_no_optimizer_takes(tmp_path: Path, scaled: bool) -> None:
    model = nn.Linear(4, 3, bias=False)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, enabled=scaled)
    with gradtrace.record(model, tmp_path / "run", histograms_every=1) as recorder:
        scaler.scale(model(torch.ones(5, 4)).sum()).backward()
        assert model.weight.grad is not None
        with torch.no_grad():
            model.weight -= 0.1 * model.weight.grad
            model.weight.grad.zero_()
        recorder.step()
    counted = gradtrace.open_recording(tmp_path / "run").histograms("weight")
    place = np.searchsorted(counted.edges, 5.0, side="right")
    assert np.flatnonzero(counted.counts[0]).tolist() == [place]


def test_large_values_written_through_data_are_seen(tmp_path: Path) -> None:
    class Plain(torch.optim.SGD):
        def step(self, closure: Any = None) -> None:
            for group in self.param_groups:
                for parameter in group["params"]:
                    parameter.data.add_(parameter.grad.data, alpha=-0.1)

    model, truth = nn.Linear(400, 100), Truth()
    optimizer = Plain(model.parameters(), lr=0.1)
    with gradtrace.record(model, tmp_path / "run") as recorder:
        for step in range(6):
            optimizer.zero_grad()
            model(torch.ones(5, 400)).square().sum().backward()
            optimizer.step()
            truth.tell(step, "value", "weight", model.weight)
            recorder.step()
    assert_recorded(tmp_path / "run", truth)


def test_updates_in_half_precision_are_not_rounded(tmp_path: Path) -> None:
    model, truth = nn.Linear(40, 30).bfloat16(), Truth()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
    with gradtrace.record(model, tmp_path / "run", histograms_every=1) as recorder:
        model(torch.ones(5, 40, dtype=torch.bfloat16)).square().mean().backward()
        before = model.weight.detach().double()
        optimizer.step()
        truth.tell(0, "update", "weight", model.weight.detach().double() - before)
        recorder.step()
    assert_recorded(tmp_path / "run", truth, rtol=1e-6)


def test_each_optimizer_may_have_a_scaler(tmp_path: Path) -> None:
    model, truth = Pair(), Truth()
    trained = {
        name: (torch.optim.SGD(part.parameters(), lr=0.1), torch.amp.GradScaler("cpu", scale))
        for (name, part), scale in zip(model.named_children(), (1024.0, 64.0), strict=True)
    }
    with gradtrace.record(model, tmp_path / "run") as recorder:
        for step in range(6):
            for name, (optimizer, scaler) in trained.items():
                optimizer.zero_grad()
                scaler.scale(model.get_submodule(name)(torch.ones(5, 4)).square().mean()).backward()
                gradient = model.get_parameter(f"{name}.weight").grad
                assert gradient is not None
                gradient = gradient / scaler.get_scale()
                truth.tell(step, "unclipped gradient", f"{name}.weight", gradient)
                scaler.step(optimizer)
                scaler.update()
            recorder.step()
    assert_recorded(tmp_path / "run", truth)


def halve(parameter: Any) -> None:
    parameter.grad.mul_(0.5)


def halve_data(parameter: Any) -> None:
    parameter.grad.data.mul_(0.5)


def replace(parameter: Any) -> None:
    parameter.grad = parameter.grad * 0.5


@pytest.mark.parametrize("earlier", [True, False], ids=["hooked earlier", "hooked later"])
@pytest.mark.parametrize("change", [halve, halve_data, replace])
def test_gradients_that_hooks_change_as_they_arrive(
    tmp_path: Path, change: Callable[[Any], None], earlier: bool
) -> None:
    model, truth = mlp(), Truth()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def put_hooks() -> None:
        for parameter in model.parameters():
            parameter.register_post_accumulate_grad_hook(change)

    if earlier:
        put_hooks()
    with gradtrace.record(model, tmp_path / "run") as recorder:
        if not earlier:
            put_hooks()
        for step in range(3):
            model(torch.randn(5, 4)).square().sum().backward()
            for name, parameter in model.named_parameters():
                assert parameter.grad is not None
                truth.tell(step, "gradient", name, parameter.grad, "norm", "min", "max")
                if change is not halve_data:
                    truth.tell(step, "unclipped gradient", name, parameter.grad, "norm")
            optimizer.step()
            optimizer.zero_grad()
            recorder.step()
    assert_recorded(tmp_path / "run", truth)


def test_a_gradient_that_is_taken_as_it_arrives_is_not_kept(tmp_path: Path) -> None:
    model, truth = mlp(), Truth()
    names = {parameter: name for name, parameter in model.named_parameters()}
    optimizers = {parameter: torch.optim.SGD([parameter], lr=0.1) for parameter in names}
    alive: list[weakref.ref[Any]] = []

    def take(parameter: Tensor) -> None:
        assert parameter.grad is not None
        truth.tell(recorder.steps, "gradient", names[parameter], parameter.grad, "norm", "max")
        optimizers[parameter].step()
        alive.append(weakref.ref(parameter.grad))
        parameter.grad = None
        assert not any(each() is not None for each in alive)

    with gradtrace.record(model, tmp_path / "run", snapshots_every=None) as recorder:
        for parameter in names:
            parameter.register_post_accumulate_grad_hook(take)
        for _ in range(3):
            model(torch.randn(5, 4)).square().sum().backward()
            recorder.step()
    assert_recorded(tmp_path / "run", truth)
    assert len(alive) == 3 * len(names)
