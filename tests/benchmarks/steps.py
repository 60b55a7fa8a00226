"""The training steps that the benchmarks trace."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.functional import cross_entropy

import gradtrace

__all__ = ["STEPS", "Step"]


@dataclass(frozen=True)
class Step:
    """One forward and backward pass, the same at each run."""

    model: nn.Module | None
    run: Callable[[], None]

    def untraced(self) -> None:
        """Run it alone."""
        self._clear()
        self.run()

    def traced(self, **options: Any) -> gradtrace.Graph:
        """Run it in a trace block."""
        self._clear()
        with gradtrace.trace(self.model, **options) as graph:
            self.run()
        return graph

    def _clear(self) -> None:
        if self.model is not None:
            self.model.zero_grad(set_to_none=True)


def gpt2() -> Step:
    """A 4-layer GPT-2, 384 wide, on 2 × 128 tokens."""
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        n_layer=4,
        n_embd=384,
        n_head=6,
        n_positions=128,
        vocab_size=8192,
        bos_token_id=None,
        eos_token_id=None,
    )
    model = GPT2LMHeadModel(config).train()
    tokens = torch.randint(config.vocab_size, (2, 128))

    def run() -> None:
        scores = model(input_ids=tokens).logits
        cross_entropy(scores[:, :-1].flatten(0, 1), tokens[:, 1:].flatten()).backward()

    return Step(model, run)


def convnet() -> Step:
    """Three convolutions on 16 images of 32 × 32."""
    model = nn.Sequential(
        *(nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(64, 64, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(64 * 64, 10)),
    )
    images, classes = torch.randn(16, 3, 32, 32), torch.randint(10, (16,))
    return Step(model, lambda: cross_entropy(model(images), classes).backward())


def tiny_calls() -> Step:
    """A hundred calls on 16 elements each, where all that counts is the cost of a call."""
    model = nn.Linear(16, 16)
    start = torch.randn(16)

    def run() -> None:
        x = start
        for _ in range(33):
            x = torch.tanh(model(x) + x)
        x.sum().backward()

    return Step(model, run)


STEPS: dict[str, Callable[[], Step]] = {
    "GPT-2, 4 layers": gpt2,
    "convolutional network": convnet,
    "100 tiny calls": tiny_calls,
}
