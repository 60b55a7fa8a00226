"""What is recorded at modules, against the full backward hooks of torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import gradtrace
from tests.torch.recording.oracle import Truth, assert_recorded, twin, watch_modules


class Residual(nn.Module):
    """The input goes through the branch and past it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.act, self.second = nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 3)
        self.past = nn.Linear(width, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.act(self.first(x)) + x) + self.past(x)


class Loop(nn.Module):
    """One module, called again and again."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(5):
            x = torch.tanh(self.cell(x) + x)
        return x


class Pair(nn.Module):
    """Two inputs, one by keyword, of which one is used twice; two outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = Mix()
        self.left, self.right = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        a, b = self.mix(self.left(x), self.right(x))
        return (a + 3 * b) / 9


class Mix(nn.Module):
    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        return x * y + x.sin(), y.exp()


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Linear(4, 8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.enter(x)[None]
        return x + self.attention(x, x, x, need_weights=False)[0]


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.head = nn.LSTM(4, 6, 2, batch_first=True), nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rnn(x[None])[0][:, -1])


class Silent(nn.Module):
    """Hands on what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.same = nn.Linear(4, 4), nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.same(self.fc(x)).relu()


class HandedOn(nn.Module):
    """What one module returns as it was given has been written to in place before."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.same, self.last = nn.Linear(4, 6), nn.Identity(), nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.same((self.first(x) * 1).relu_()))


class Wave(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.sin()


def convolutional() -> nn.Module:
    return nn.Sequential(
        nn.Unflatten(1, (1, 2, 2)),
        nn.Conv2d(1, 8, 2, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(8, 3),
    )


MODELS: dict[str, Callable[[], nn.Module]] = {
    "sequential": lambda: nn.Sequential(nn.Linear(4, 9), nn.Sigmoid(), nn.Linear(9, 2)),
    "large": lambda: nn.Sequential(nn.Linear(4, 9000), nn.GELU(), nn.Linear(9000, 2)),
    "residual": lambda: nn.Sequential(nn.Linear(4, 6), Residual(6)),
    "loop": lambda: nn.Sequential(nn.Linear(4, 4), Loop()),
    "pair": Pair,
    "attention": Attention,
    "recurrent": Recurrent,
    "convolutional": convolutional,
    "silent": Silent,
    "handed on": HandedOn,
    "of three axes": lambda: nn.Sequential(
        nn.Unflatten(1, (2, 2)),
        nn.Linear(2, 5),
        nn.Linear(5, 3),
        nn.Linear(3, 3, bias=False),
        nn.ReLU(),
    ),
    "double": lambda: nn.Sequential(nn.Linear(4, 9), nn.Tanh()).double(),
    "half": lambda: nn.Sequential(nn.Linear(4, 9), nn.Tanh()).bfloat16(),
    "dropout": lambda: nn.Sequential(nn.Linear(4, 50), nn.Dropout(0.5), nn.Linear(50, 2)),
}


def train(
    model: nn.Module, after: Callable[[int], None], steps: int = 3, requires_grad: bool = True
) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    kind = next(model.parameters()).dtype
    torch.manual_seed(5)
    for step in range(steps):
        x = torch.randn(6, 4).to(kind).requires_grad_(requires_grad)
        model(x * 1).float().pow(2).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        after(step)


def truth_of(model: nn.Module, **options: Any) -> Truth:
    truth, now = Truth(), [0]
    watch_modules(model, truth, lambda: now[0])
    train(model, lambda step: now.__setitem__(0, step + 1), **options)
    return truth


@pytest.mark.filterwarnings("ignore:Full backward hook is firing")
@pytest.mark.parametrize("asked", [True, False], ids=["input asks", "input asks not"])
@pytest.mark.parametrize("name", MODELS)
def test_outputs_and_gradients_are_those_that_torch_tells(
    tmp_path: Path, name: str, asked: bool
) -> None:
    torch.manual_seed(2)
    model = MODELS[name]()
    truth, other = truth_of(twin(model), requires_grad=asked), twin(model)
    train(other, lambda step: None, requires_grad=asked)
    with gradtrace.record(model, tmp_path / "run", large_every=1) as recorder:
        train(model, lambda step: recorder.step(), requires_grad=asked)
    for p, q in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(p, q)
    assert_recorded(tmp_path / "run", truth)


@pytest.mark.filterwarnings("ignore:Full backward hook is firing")
@pytest.mark.parametrize("asked", [True, False], ids=["input asks", "input asks not"])
def test_what_is_large_is_looked_at_in_every_fourth_step(tmp_path: Path, asked: bool) -> None:
    torch.manual_seed(2)
    model = nn.Sequential(nn.Sequential(nn.Linear(4, 9000)), Wave(), nn.GELU(), nn.Linear(9000, 2))
    truth = truth_of(twin(model), steps=6, requires_grad=asked)
    with gradtrace.record(model, tmp_path / "run") as recorder:
        train(model, lambda step: recorder.step(), steps=6, requires_grad=asked)

    def is_large(step: int, quantity: str, node: str, statistic: str) -> bool:
        counts = (truth.found[step, each, node, "count"] for each in (quantity, "output"))
        return any(count > 2**15 for count in counts)

    seldom = {place for place in truth.found if is_large(*place)}
    known = {place: truth.found[place] for place in truth.found if place not in seldom}
    known |= {place: truth.found[place] for place in seldom if place[0] % 4 == 0}
    assert_recorded(tmp_path / "run", Truth(known))
    assert {node for _, _, node, _ in seldom} == {"0", "0.0", "1", "2", "3"}
    run = gradtrace.open_recording(tmp_path / "run")
    for step, quantity, node, statistic in seldom - known.keys():
        assert np.isnan(run.matrix(quantity, statistic).only([node]).values[step, 0])


def test_what_a_module_hands_on_is_left_out_beside_what_it_makes(tmp_path: Path) -> None:
    class Block(nn.Module):
        def forward(self, x: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
            return (x + bias).sin(), bias

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = Block(), Block()
            self.bias = nn.Parameter(torch.randn(3))

        def forward(self, x: Tensor) -> Tensor:
            bias = self.bias * 2
            for block in (self.first, self.second):
                x, bias = block(x * self.bias, bias)
            return x * bias

    model, truth = Model(), Truth()
    with gradtrace.record(model, tmp_path / "run") as recorder:
        for step in range(3):
            x, twice = torch.randn(3), model.bias * 2
            first = (x * model.bias + twice).sin()
            second = (first * model.bias + twice).sin()
            for name, made in (("first", first), ("second", second)):
                (upstream,) = torch.autograd.grad((second * twice).sum(), made, retain_graph=True)
                truth.tell(step, "upstream gradient", name, upstream, "norm", "count")
                slope = (1 - made**2).sqrt() * upstream  # to both of what it is given, up to signs
                both = torch.cat([slope, slope])
                truth.tell(step, "downstream gradient", name, both, "norm", "count")
            model(x).sum().backward()
            recorder.step()
    assert_recorded(tmp_path / "run", truth)


def write_twice(x: Tensor) -> Tensor:
    return x.mul_(3).tanh_()


def write_to_part(x: Tensor) -> Tensor:
    x[:, :2].mul_(3)
    return x.sin()


@pytest.mark.parametrize("write", [write_twice, write_to_part])
def test_modules_that_write_to_what_they_are_given(
    tmp_path: Path, write: Callable[[Tensor], Tensor]
) -> None:
    class Writes(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return write(x)

    model = nn.Sequential(nn.Linear(4, 5), Writes())
    truth = Truth()
    with gradtrace.record(model, tmp_path / "run") as recorder:
        for step in range(3):
            x = torch.randn(6, 4)
            given = nn.functional.linear(x, model[0].weight, model[0].bias).detach()
            given.requires_grad_()
            made = write(given * 1)
            made.square().sum().backward()
            truth.tell(step, "upstream gradient", "1", 2 * made, "norm", "count")
            truth.tell(step, "downstream gradient", "1", given.grad, "norm", "count")
            model(x).square().sum().backward()
            recorder.step()
    assert_recorded(tmp_path / "run", truth)


def test_gain_is_downstream_by_upstream(tmp_path: Path) -> None:
    torch.manual_seed(2)
    model = MODELS["loop"]()
    truth = truth_of(twin(model))
    with gradtrace.record(model, tmp_path / "run") as recorder:
        train(model, lambda step: recorder.step())
    gain = gradtrace.open_recording(tmp_path / "run").matrix("gain", "norm")
    column = gain.nodes.index("1.cell")
    for step in range(3):
        down = truth.found[step, "downstream gradient", "1.cell", "norm"]
        up = truth.found[step, "upstream gradient", "1.cell", "norm"]
        assert gain.values[step, column] == pytest.approx(down / up, rel=1e-5)
