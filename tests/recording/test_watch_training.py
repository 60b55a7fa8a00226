"""The rules are silent on healthy trainings of real models, and name what is wrong with others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

import gradtrace
from gradtrace.recording.reader import Recording

Fault = Callable[[int, nn.Module], None]

PLANTED = 60


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def digits() -> tuple[torch.Tensor, torch.Tensor]:
    from sklearn.datasets import load_digits

    images, classes = load_digits(return_X_y=True)
    return torch.tensor(images, dtype=torch.float32) / 16, torch.tensor(classes)


def perceptron(activation: type[nn.Module] = nn.ReLU, depth: int = 2) -> nn.Sequential:
    sizes = [64, *[32] * depth]
    inner = [(nn.Linear(a, b), activation()) for a, b in pairwise(sizes)]
    return nn.Sequential(*(layer for pair in inner for layer in pair), nn.Linear(32, 10))


def train(
    folder: Path, model: nn.Module, optimizer: Any, *, steps: int, fault: Fault | None = None
) -> Recording:
    """Train on digits."""
    images, classes = digits()
    draw = torch.Generator().manual_seed(0)
    with gradtrace.record(model, folder, optimizer=optimizer, snapshots_every=None) as recorder:
        for step in range(steps):
            batch = torch.randint(len(images), (32,), generator=draw)
            loss = cross_entropy(model(images[batch]), classes[batch])
            optimizer.zero_grad()
            loss.backward()
            if fault:
                fault(step, model)
            optimizer.step()
            recorder.step(loss=loss)
    return gradtrace.open_recording(folder)


OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "SGD": lambda parameters: torch.optim.SGD(parameters, lr=0.1),
    "momentum": lambda parameters: torch.optim.SGD(parameters, lr=0.05, momentum=0.9),
    "Adam": lambda parameters: torch.optim.Adam(parameters, lr=1e-2),
    "AdamW": lambda parameters: torch.optim.AdamW(parameters, lr=1e-3),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh])
def test_healthy_digits(tmp_path: Path, name: str, activation: type[nn.Module]) -> None:
    torch.manual_seed(0)
    model = perceptron(activation)
    run = train(tmp_path, model, OPTIMIZERS[name](model.parameters()), steps=400)
    assert run.scalar("loss")[1][-20:].mean() < 1.0
    assert run.findings == ()


@pytest.mark.parametrize("clipped", [False, True])
def test_healthy_tiny_gpt2(tmp_path: Path, clipped: bool) -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    config = GPT2Config(
        n_layer=2, n_embd=32, n_head=2, n_positions=16, vocab_size=64, bos_token_id=None,
        eos_token_id=None,
    )  # fmt: skip
    model = GPT2LMHeadModel(config).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    warm_up = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, step / 50))
    with gradtrace.record(model, tmp_path, optimizer=optimizer, snapshots_every=None) as recorder:
        for _ in range(120):
            start = torch.randint(64, (8, 1))
            tokens = (start + torch.arange(16)) % 64
            loss = model(input_ids=tokens, labels=tokens).loss
            optimizer.zero_grad()
            loss.backward()
            if clipped:
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            warm_up.step()
            recorder.step(loss=loss)
    run = gradtrace.open_recording(tmp_path)
    losses = run.scalar("loss")[1]
    assert losses[-1] < losses[0] / 2
    assert run.findings == ()


def nan_gradient(step: int, model: Any) -> None:
    if step == PLANTED:
        model[2].weight.grad[0, 0] = torch.nan


def spike(step: int, model: nn.Module) -> None:
    if step == PLANTED:
        for parameter in model.parameters():
            assert parameter.grad is not None
            parameter.grad *= 1000


def runaway(step: int, model: nn.Module) -> None:
    for parameter in model.parameters():
        assert parameter.grad is not None
        parameter.grad *= 2.0 ** max(0, step - PLANTED)


def kill(step: int, model: Any) -> None:
    if step == PLANTED:
        model[2].bias.data.fill_(-1000.0)


def saturate(step: int, model: Any) -> None:
    if step == PLANTED:
        model[0].weight.data.mul_(1000.0)


SICK: dict[str, tuple[type[nn.Module], int, float, Fault | None, str, str, int]] = {
    "NaN": (nn.ReLU, 2, 0.1, nan_gradient, "nonfinite", "2.weight", PLANTED),
    "spike": (nn.ReLU, 2, 1e-3, spike, "jump", "", PLANTED),
    "runaway": (nn.ReLU, 2, 1e-4, runaway, "exploding", "", PLANTED + 9),
    "dead": (nn.ReLU, 2, 0.1, kill, "dead", "3", PLANTED + 1),
    "cut off": (nn.ReLU, 2, 0.1, kill, "zero gradient", "0", PLANTED + 1),
    "saturated": (nn.Tanh, 2, 0.1, saturate, "saturated", "1", PLANTED + 1),
    "too deep": (nn.Sigmoid, 16, 0.1, None, "vanishing", "0", 0),
    "stands still": (nn.ReLU, 2, 1e-9, None, "update ratio", "2", 5),
    "stumbles": (nn.Tanh, 2, 30.0, None, "update ratio", "", 0),
}


@pytest.mark.parametrize("name", SICK)
def test_sick_digits(tmp_path: Path, name: str) -> None:
    activation, depth, rate, fault, rule, node, first = SICK[name]
    torch.manual_seed(0)
    model = perceptron(activation, depth)
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    run = train(tmp_path, model, optimizer, steps=130, fault=fault)
    found = {each.node: each.first_step for each in run.findings if each.rule == rule}
    assert found, run.findings
    assert not node or found[node] == first
    assert min(found.values()) >= first


def test_a_part_cut_off_from_the_loss(tmp_path: Path) -> None:
    class Detached(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.lost = perceptron(), nn.Linear(64, 10)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            result: torch.Tensor = self.used(x) + self.lost(x).detach()
            return result

    torch.manual_seed(0)
    model = Detached()
    run = train(tmp_path, model, torch.optim.SGD(model.parameters(), lr=0.1), steps=100)
    assert {(each.rule, each.node) for each in run.findings} == {
        ("no gradient", "lost.weight"),
        ("no gradient", "lost.bias"),
    }
