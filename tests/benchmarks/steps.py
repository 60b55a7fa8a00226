"""The training steps that the benchmarks trace."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn.functional import cross_entropy

import gradtrace

__all__ = ["LARGER", "STEPS", "Step"]


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


def gpt2(
    *, layers: int = 4, wide: int = 384, batch: int = 2, length: int = 128, half: bool = False
) -> Step:
    """A GPT-2, 4 layers and 384 wide on 2 × 128 tokens unless told; in bfloat16 if `half`."""
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        n_layer=layers,
        n_embd=wide,
        n_head=wide // 64,
        n_positions=length,
        vocab_size=8192,
        bos_token_id=None,
        eos_token_id=None,
    )
    model = GPT2LMHeadModel(config).train()
    tokens = torch.randint(config.vocab_size, (batch, length))

    def run() -> None:
        with torch.autocast(tokens.device.type, torch.bfloat16, enabled=half):
            scores = model(input_ids=tokens).logits
            loss = cross_entropy(scores[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())
        loss.backward()

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


def resnet() -> Step:
    """A ResNet-50 on 32 images of 224 × 224."""
    from transformers import ResNetConfig, ResNetForImageClassification

    model = ResNetForImageClassification(ResNetConfig()).train()
    images, classes = torch.randn(32, 3, 224, 224), torch.randint(2, (32,))
    return Step(model, lambda: cross_entropy(model(images).logits, classes).backward())


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

LARGER: dict[str, Callable[[], Step]] = {
    "GPT-2, 12 layers, in bfloat16": partial(
        gpt2, layers=12, wide=768, batch=8, length=512, half=True
    ),
    "ResNet-50, 32 images": resnet,
}
"""Steps that give a GPU something to do."""
