"""Makes the figures of the README: `python .github/gallery.py`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.functional import cross_entropy

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

import gradtrace  # noqa: E402
from gradtrace.graph import Graph  # noqa: E402
from gradtrace.render import THEMES, Theme  # noqa: E402
from tests.render import networks  # noqa: E402

__all__ = ["FIGURES", "make"]


def on_paper(name: str) -> Theme:
    """Return a theme with its ground painted, for pages that may be light or dark."""
    return replace(THEMES[name], background=THEMES[name].ground)


def chain_rule() -> Graph:
    """Trace h = σ(wx + b), L = (h − t)²."""
    w, b = (torch.tensor(value, requires_grad=True) for value in (0.8, 0.1))
    x, t = torch.tensor(0.5), torch.tensor(0.3)
    with gradtrace.trace(keep="all", derivatives="exact") as graph:
        h = torch.sigmoid(w * x + b)
        loss = (h - t).square()
        loss.backward()
    return graph


def classifier() -> Graph:
    """Trace a network that is small enough to show every number."""
    model = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2))
    x, target = torch.randn(5, 4), torch.tensor([0, 1, 0, 1, 1])
    with gradtrace.trace(model, keep="all", derivatives="exact") as graph:
        cross_entropy(model(x), target).backward()
    return graph


def vanishing() -> Graph:
    """Trace sigmoids on sigmoids."""
    model = nn.Sequential(*(layer for _ in range(5) for layer in (nn.Linear(8, 8), nn.Sigmoid())))
    x = torch.randn(16, 8)
    with gradtrace.trace(model) as graph:
        model(x).square().mean().backward()
    return graph


Figure = tuple[Callable[[], Graph], dict[str, Any]]

FIGURES: dict[str, Figure] = {
    "chain-rule": (chain_rule, {"math": True, "passes": "both", "width": 5}),
    "gpt2": (networks.gpt2, {"width": 4.5}),
    "resnet50": (networks.resnet50, {
        "focus": "resnet.encoder.stages.2", "fold_repeats": True, "width": 4,
        "show": ["shapes", "gains"],
    }),
    "lstm": (networks.gated, {"fold_repeats": True, "width": "text"}),
    "unet": (networks.unet, {"depth": 1, "width": 4.5}),
    "grids": (classifier, {
        "show": ["grids", "shapes", "parameters"], "width": "text",
    }),
    "path": (classifier, {"highlight": "0.weight", "direction": "right", "width": 12,
        "show": ["shapes", "gains", "parameters"], "theme": on_paper("grayscale")}),
    "vanishing": (vanishing, {"passes": "backward", "width": 3.5, "theme": on_paper("dark")}),
}  # fmt: skip
"""What is traced for each figure, and how it is drawn."""


def make(name: str, folder: Path = HERE) -> Path:
    """Write the figure called `name` into `folder`."""
    torch.manual_seed(0)
    trace, options = FIGURES[name]
    target = folder / f"figure-{name}.svg"
    trace().render(target, **{"theme": on_paper("paper"), **options})
    return target


if __name__ == "__main__":
    for name in FIGURES:
        print(make(name).name)
