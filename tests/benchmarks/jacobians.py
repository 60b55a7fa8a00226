"""How long the exact Jacobians of a step take, against asking PyTorch for each call's."""

from __future__ import annotations

from statistics import median

import torch
from torch import Tensor, nn
from torch.autograd.functional import jacobian
from torch.nn.functional import linear, mse_loss

import gradtrace
from tests.benchmarks.clocks import cpu_time

__all__ = ["report"]

LIMIT = 2**22
"""Elements of the largest Jacobian, that of a result by a weight: 8 · 64 × 64 · 64."""


def report(*, rounds: int) -> None:
    """Print the median CPU times, and their ratio."""
    model = nn.Sequential(*[layer for _ in range(4) for layer in (nn.Linear(64, 64), nn.Tanh())])
    inputs, targets = torch.randn(8, 64), torch.randn(8, 64)
    traced, asked = [], []
    for _ in range(rounds + 1):
        traced.append(cpu_time(lambda: _trace(model, inputs, targets)))
        asked.append(cpu_time(lambda: _ask(model, inputs, targets)))
    ours, theirs = median(traced[1:]), median(asked[1:])
    print("exact Jacobians of a perceptron, 4 × 64, batch 8: CPU time, median")
    print(f"  traced with the step {ours * 1e3:.0f} ms, call by call {theirs * 1e3:.0f} ms", end="")
    print(f": ratio {ours / theirs:.2f}", flush=True)


def _trace(model: nn.Sequential, inputs: Tensor, targets: Tensor) -> None:
    model.zero_grad()
    with gradtrace.trace(model, derivatives="exact", limit=LIMIT) as graph:
        mse_loss(model(inputs), targets).backward()
    exact = [derivative for *_, derivative in graph.edges(data="local_derivative") if derivative]
    assert all(derivative.exact for derivative in exact)


def _ask(model: nn.Sequential, inputs: Tensor, targets: Tensor) -> None:
    hidden = inputs
    for layer in model:
        if isinstance(layer, nn.Linear):
            operands = hidden, layer.weight.detach(), layer.bias.detach()
            jacobian(linear, operands)
        else:
            jacobian(torch.tanh, hidden)
        hidden = layer(hidden).detach()
    jacobian(lambda found: mse_loss(found, targets), hidden)
