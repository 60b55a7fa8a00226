"""Runs to be explained."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

import gradtrace
from gradtrace.graph import Graph


def number(value: float, **options: Any) -> torch.Tensor:
    return torch.tensor(value, dtype=torch.float64, **options)


def scalars(**options: Any) -> Graph:
    w1, b1 = number(0.76, requires_grad=True), number(0.1, requires_grad=True)
    w2, b2 = number(-1.2, requires_grad=True), number(0.5, requires_grad=True)
    x, t = number(0.5), number(-0.6129)
    with gradtrace.trace(**options) as graph:
        (((w2 * torch.sigmoid(w1 * x + b1) + b2) - t) ** 2).backward()
    return graph


class Block(nn.Module):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.inner, self.outer = nn.Linear(size, size), nn.Linear(size, size)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.outer(torch.tanh(self.inner(x)))


def residual(blocks: int = 2, **options: Any) -> tuple[Graph, nn.Module]:
    torch.manual_seed(0)
    first, last = nn.Linear(3, 4), nn.Linear(4, 1)
    model = nn.Sequential(first, *(Block(4) for _ in range(blocks)), last).double()
    x, t = torch.randn(6, 3).double(), torch.randn(6, 1).double()
    with gradtrace.trace(model, **options) as graph:
        nn.functional.mse_loss(model(x), t).backward()
    return graph, model
