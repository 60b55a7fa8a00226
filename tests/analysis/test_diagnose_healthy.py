"""Healthy networks give no warning: a false alarm is a defect."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

import gradtrace
from tests.analysis.faults import Transformer, classify, traced
from tests.torch.architectures import ARCHITECTURES

OPTIONS: list[dict[str, Any]] = [
    {},
    {"keep": "all"},
    {"keep": "all", "derivatives": "norm", "detail": "primitive"},
]

either_way = pytest.mark.parametrize("options", OPTIONS, ids=["summary", "all", "primitive"])


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


class Residual(nn.Module):
    def __init__(self, blocks: int = 20, size: int = 32) -> None:
        super().__init__()
        self.inp, self.out = nn.Linear(8, size), nn.Linear(size, 4)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(size), nn.Linear(size, size), nn.ReLU(), nn.Linear(size, size)
            )
            for _ in range(blocks)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.inp(x)
        for block in self.blocks:
            x = x + block(x)
        return self.out(x)


class Images(nn.Module):
    """A residual network with batch normalization."""

    def __init__(self, blocks: int = 5, size: int = 12) -> None:
        super().__init__()
        self.stem, self.out = nn.Conv2d(3, size, 3, padding=1), nn.Linear(size, 4)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(size, size, 3, padding=1),
                nn.BatchNorm2d(size),
                nn.ReLU(inplace=True),
                nn.Conv2d(size, size, 3, padding=1),
                nn.BatchNorm2d(size),
            )
            for _ in range(blocks)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = torch.relu(x + block(x))
        return self.out(x.mean((2, 3)))


class Recurrent(nn.Module):
    def __init__(self, *, cell: bool = False) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(8, 16) if cell else nn.LSTM(8, 16, 2, batch_first=True)
        self.out = nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        if isinstance(self.cell, nn.LSTM):
            return self.out(self.cell(x)[0][:, -1])
        state = x.new_zeros(2, len(x), 16).unbind()
        total = torch.zeros(())
        for step in x.unbind(1):
            state = self.cell(step, state)
            total = total + self.out(state[0])
        return total


class Words(nn.Module):
    """Embeddings with sparse gradients, most rows of them 0."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.out = nn.Embedding(1000, 16, sparse=True), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.table((x.abs() * 100).long().clamp(max=999)).mean(1))


def perceptron(outputs: int = 4) -> nn.Module:
    return nn.Sequential(
        nn.Linear(8, 64), nn.ReLU(), nn.Dropout(0.5), nn.Linear(64, 64), nn.ReLU(),
        nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, outputs),
    )  # fmt: skip


def encoder() -> nn.Module:
    layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
    stack = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)
    return nn.Sequential(nn.Linear(8, 16), stack, nn.Flatten(), nn.Linear(16 * 6, 4))


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "residual": (Residual, (8,)),
    "batch normalization": (Images, (3, 16, 16)),
    "lstm": (Recurrent, (12, 8)),
    "lstm by steps": (lambda: Recurrent(cell=True), (12, 8)),
    "words": (Words, (5,)),
    "perceptron": (perceptron, (8,)),
    "transformer": (Transformer, (6, 8)),
    "encoder": (encoder, (6, 8)),
}


def assert_healthy(graph: gradtrace.Graph, notes: int = 0) -> None:
    diagnosis = graph.diagnose()
    assert diagnosis.ok, str(diagnosis)
    assert len(diagnosis.notes) <= notes, str(diagnosis)


@either_way
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_at_initialization(name: str, dtype: torch.dtype, options: dict[str, Any]) -> None:
    make, shape = NETWORKS[name]
    assert_healthy(classify(make().to(dtype), *shape, **options), notes=1)


@pytest.mark.parametrize("options", OPTIONS[:2], ids=["summary", "all"])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_transformers_at_initialization(name: str, options: dict[str, Any]) -> None:
    make, loss = ARCHITECTURES[name]
    model = make()
    assert_healthy(traced(model, lambda: loss(model), **options), notes=1)


def test_a_mask_of_infinity_is_no_finding() -> None:
    model = Transformer()
    mask = torch.full((6, 6), float("-inf")).triu(1)
    for block in model.blocks:
        block.on_scores = lambda scores: scores + mask
    assert_healthy(classify(model, 6, 8))


def test_a_padding_mask_in_half_precision_is_no_finding() -> None:
    model = Transformer().bfloat16()
    mask = torch.zeros(6, dtype=torch.bool)
    mask[4:] = True
    for block in model.blocks:
        block.on_scores = lambda s: s.masked_fill(mask, torch.finfo(s.dtype).min)
    assert_healthy(classify(model, 6, 8, keep="all"))


def test_factors_that_begin_at_0_and_learn_are_notes_at_most() -> None:
    model = Residual(4)
    for block in model.blocks:
        nn.init.zeros_(block[-1].weight)
        nn.init.zeros_(block[-1].bias)
    diagnosis = classify(model, 8).diagnose()
    assert diagnosis.ok, str(diagnosis)
    assert {finding.rule for finding in diagnosis.notes} == {"zero_gradient"}
    assert "all 0 as yet, but learns" in diagnosis.notes[0].cause


def test_layer_scale_is_no_finding() -> None:
    model = Transformer()
    for block in model.blocks:
        block.gamma = nn.Parameter(torch.full((16,), 1e-6))
        block.on_attention = lambda x, block=block: x * block.gamma
    assert_healthy(classify(model, 6, 8))


def trained(model: nn.Module, loss: Callable[[], Tensor], steps: int = 200) -> gradtrace.Graph:
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(steps):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
    optimizer.zero_grad()
    return traced(model, loss, keep="all")


@pytest.mark.parametrize("kind", ["classes", "squares", "squares by hand", "sure"])
def test_trained_networks(kind: str) -> None:
    x, model = torch.randn(64, 8), perceptron(4 if kind == "classes" else 1).eval()
    target = x[:, :1].sign() if kind == "sure" else (x @ torch.randn(8, 1)).tanh()
    digits = (x[:, 0] > 0).long()
    losses: dict[str, Callable[[], Tensor]] = {
        "classes": lambda: F.cross_entropy(model(x), digits),
        "squares": lambda: F.mse_loss(model(x), target),
        "squares by hand": lambda: ((model(x) - target) ** 2).mean(),
        "sure": lambda: F.binary_cross_entropy(model(x).sigmoid(), (target > 0).float()),
    }
    assert_healthy(trained(model, losses[kind]), notes=2)


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("sklearn") is None, reason="scikit-learn")
@pytest.mark.parametrize("images", [2, 64])
@pytest.mark.parametrize("keep", ["summary", "all"])
def test_trained_digits(tmp_path: Path, images: int, keep: str) -> None:
    from rich.console import Console

    from gradtrace.demos import digits

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        train, test = digits._data()
        model, accuracy, _ = digits._train(train, test, tmp_path, Console(quiet=True))
    assert accuracy > 0.95
    for data in (train, test):
        step = lambda data=data: F.cross_entropy(model(data.images[:images]), data.digits[:images])  # noqa: E731
        diagnosis = traced(model, step, keep=keep).diagnose()
        assert diagnosis.ok, str(diagnosis)
        model.zero_grad()
