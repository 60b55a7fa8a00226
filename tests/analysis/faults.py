"""Programs with a fault planted in them, each with its healthy twin."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

import gradtrace

__all__ = [
    "Program",
    "Transformer",
    "bias",
    "chain",
    "classify",
    "convolutions",
    "half",
    "in_block",
    "on_leaf",
    "put",
    "regress",
    "row",
    "scale",
    "sigmoids",
    "traced",
    "two_losses",
    "weights",
]

Program = Callable[[bool], gradtrace.Graph]
"""Returns the graph of the faulty run if told, else that of the healthy twin."""


class Block(nn.Module):
    """A pre-norm block of a transformer, with places at which faults can be planted."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(size), nn.LayerNorm(size)
        self.query, self.key, self.value = (nn.Linear(size, size) for _ in range(3))
        self.project = nn.Linear(size, size)
        self.fc1, self.fc2 = nn.Linear(size, 2 * size), nn.Linear(2 * size, size)
        self.act: Callable[[Tensor], Tensor] = torch.relu
        self.on_scores = self.on_attention = self.on_hidden = self.on_trunk = _nothing

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm1(x)
        scores = self.query(y) @ self.key(y).transpose(1, 2) / y.shape[-1] ** 0.5
        attention = self.on_scores(scores).softmax(-1) @ self.value(y)
        x = x + self.on_attention(self.project(attention))
        hidden = self.on_hidden(self.act(self.fc1(self.norm2(x))))
        return self.on_trunk(x + self.fc2(hidden))


def _nothing(x: Tensor) -> Tensor:
    return x


class Transformer(nn.Module):
    def __init__(self, blocks: int = 3, size: int = 16, outputs: int = 4) -> None:
        super().__init__()
        self.inp = nn.Linear(8, size)
        self.blocks = nn.ModuleList(Block(size) for _ in range(blocks))
        self.norm, self.out = nn.LayerNorm(size), nn.Linear(size, outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = self.inp(x)
        for block in self.blocks:
            x = block(x)
        return self.out(self.norm(x).mean(1))


def traced(model: Any, step: Callable[[], Tensor], **options: Any) -> gradtrace.Graph:
    with warnings.catch_warnings(), gradtrace.trace(model, **options) as graph:
        warnings.simplefilter("ignore")  # torch warns of some of the faults itself
        step().backward()
    return graph


def classify(model: nn.Module, *shape: int, rows: int = 16, **options: Any) -> gradtrace.Graph:
    x = torch.randn(rows, *shape).to(next(model.parameters()).dtype)
    y = torch.randint(0, 4, (rows,))
    return traced(model, lambda: F.cross_entropy(model(x).float(), y), **options)


def in_block(plant: Callable[[Any], None], **options: Any) -> Program:
    """Plant a fault in the middle block of a transformer."""

    def program(fault: bool) -> gradtrace.Graph:
        torch.manual_seed(0)
        model = Transformer()
        if fault:
            plant(model.blocks[1])
        return classify(model, 6, 8, **options)

    return program


def chain(
    layers: int,
    act: Callable[[], nn.Module],
    plant: Callable[[nn.Sequential], None],
    **options: Any,
) -> Program:
    """Plant a fault in a chain of layers; the twin is shallow, so that nothing vanishes."""

    def program(fault: bool) -> gradtrace.Graph:
        torch.manual_seed(0)
        depth = layers if fault else 2
        stack = [each for _ in range(depth) for each in (nn.Linear(16, 16), act())]
        model = nn.Sequential(*stack, nn.Linear(16, 4))
        if fault:
            with torch.no_grad():
                plant(model)
        return classify(model, 16, **options)

    return program


def on_leaf(run: Callable[[Tensor, bool], Tensor], start: list[float]) -> Program:
    """Plant a fault in a few calls on one leaf."""

    def program(fault: bool) -> gradtrace.Graph:
        x = torch.tensor(start, requires_grad=True)
        return traced(None, lambda: run(x, fault).sum())

    return program


def regress(loss: Callable[[Tensor, Tensor], Tensor], *, deep: bool = False) -> Program:
    """Compare (N, 1) with (N,) if told, else with (N, 1)."""

    def program(fault: bool) -> gradtrace.Graph:
        torch.manual_seed(0)
        model = Transformer(outputs=1) if deep else nn.Linear(8, 1)
        x = torch.randn(16, 6, 8) if deep else torch.randn(16, 8)
        target = torch.randn(16) if fault else torch.randn(16, 1)
        return traced(model, lambda: loss(model(x), target))

    return program


def half(plant: Callable[[nn.Sequential, Tensor, bool], Tensor]) -> Program:
    def program(fault: bool) -> gradtrace.Graph:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 4)).half()
        x = torch.randn(16, 16).half()
        return traced(model, lambda: plant(model, x, fault))

    return program


def row(plant: Callable[[Tensor, Tensor, Tensor], None], *, deep: bool = False) -> Program:
    """Let one row of 16 be an outlier in the input, the target or the weights of the loss."""

    def program(fault: bool) -> gradtrace.Graph:
        torch.manual_seed(0)
        shallow = nn.Sequential(nn.Linear(8, 32), nn.GELU(), nn.Linear(32, 1))
        model = Transformer(outputs=1) if deep else shallow
        x = torch.randn(16, 6, 8) if deep else torch.randn(16, 8)
        target, weights = torch.randn(16, 1), torch.ones(16, 1)
        if fault:
            plant(x, target, weights)
        return traced(model, lambda: (weights * (model(x) - target).pow(2)).mean(), keep="all")

    return program


def two_losses(run: Callable[[Any, Tensor, float], Tensor]) -> Program:
    def program(fault: bool) -> gradtrace.Graph:
        torch.manual_seed(0)
        model = Transformer(outputs=8)
        x = torch.randn(16, 6, 8)
        return traced(model, lambda: run(model, x, -1.0 if fault else 1.0), keep="all")

    return program


def scale(block: Any, name: str, factor: float) -> None:
    with torch.no_grad():
        getattr(block, name).weight.mul_(factor)


def bias(layer: nn.Module, units: slice, value: float) -> None:
    with torch.no_grad():
        layer.bias[units] = value


def put(name: str, function: Callable[[Tensor], Tensor]) -> Callable[[Any], None]:
    return lambda block: setattr(block, name, function)


def weights(change: Callable[[Tensor], Any]) -> Callable[[nn.Sequential], None]:
    """Return what changes the weights of all linear layers but the last."""

    def plant(model: nn.Sequential) -> None:
        for layer in list(model)[:-1]:
            if isinstance(layer, nn.Linear):
                change(layer.weight)

    return plant


def sigmoids(count: int) -> Callable[[Any], None]:
    """Return what puts layers with sigmoids into the branch of a block."""

    def plant(block: Any) -> None:
        block.fc2 = nn.Sequential(
            *(layer for _ in range(count) for layer in (nn.Linear(32, 32), nn.Sigmoid())),
            nn.Linear(32, 16),
        )

    return plant


def convolutions(fault: bool) -> gradtrace.Graph:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 4))
    if fault:
        bias(model[0], slice(2, 5), -50.0)
    return classify(model, 3, 8, 8, keep="all")
