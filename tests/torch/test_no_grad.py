"""Views of parameters that are made in no_grad(), which say of themselves that they ask."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

import gradtrace


def read(w: Tensor, x: Tensor) -> Tensor:
    with torch.no_grad():
        scale = w.view(-1).abs().max()
    return (w @ x / scale).sum()


def multiplied(w: Tensor, x: Tensor) -> Tensor:
    with torch.no_grad():
        target = w.T @ x
    return (w @ target).sum()


def used_outside(w: Tensor, x: Tensor) -> Tensor:
    with torch.no_grad():
        row = w[0]
    return (row * x).sum() + w.sum()


def written_to(w: Tensor, x: Tensor) -> Tensor:
    with torch.no_grad():
        rows = w[1:]
        rows.mul_(0.5)
        rows.add_(1)
        size = rows.norm()
    return (w @ x).sum() * size


def made_before(w: Tensor, x: Tensor) -> Tensor:
    return (BEFORE[0] * x).sum() + (w @ x).sum()


BEFORE: list[Tensor] = []


@pytest.mark.parametrize("run", [read, multiplied, used_outside, written_to, made_before])
@pytest.mark.parametrize("derivatives", ["gain", "exact"])
def test_a_view_without_gradient_is_traced(
    run: Callable[[Tensor, Tensor], Tensor], derivatives: str
) -> None:
    gradients = []
    for trace in (False, True):
        torch.manual_seed(0)
        w, x = nn.Parameter(torch.randn(3, 3)), torch.randn(3)
        with torch.no_grad():
            BEFORE[:] = [w[0]]
        if trace:
            with gradtrace.trace(keep="all", derivatives=derivatives) as graph:
                run(w, x).backward()
            assert not graph.check(numeric=True).failed
            gathers = {node for node, g in graph.nodes(data="upstream_gradient") if g}
            assert not {"view", "T", "getitem", "BEFORE[0]"} & gathers
        else:
            run(w, x).backward()
        assert w.grad is not None
        gradients.append(w.grad)
    assert torch.equal(*gradients)


class Normalized(nn.Module):
    """Spectral normalization reads views of its weight in no_grad()."""

    def __init__(self) -> None:
        super().__init__()
        self.first = parametrizations.spectral_norm(nn.Linear(4, 4))
        self.last = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            bias = self.last.bias[:1]
            bias.mul_(1.0)
        return self.last(self.first(x))


def test_spectral_normalization_is_traced_and_recorded(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Normalized()
    with gradtrace.trace(model) as graph:
        model(torch.randn(3, 4)).sum().backward()
    assert not graph.check().failed
    with gradtrace.record(model, tmp_path / "run") as recorder:
        for _ in range(2):
            model(torch.randn(3, 4)).sum().backward()
            recorder.step()
    steps = gradtrace.open_recording(tmp_path / "run").frame("gradient")
    assert len(steps) == 2
