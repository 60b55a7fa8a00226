"""Networks that people put into papers, small enough for a test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn.functional import cross_entropy

import gradtrace
from gradtrace.graph import Graph

__all__ = ["NETWORKS", "gated"]

IMAGES, LABELS = (2, 3, 64, 64), [1, 2]


def traced(model: nn.Module, run: Callable[[nn.Module], Any]) -> Graph:
    with gradtrace.trace(model) as graph:
        run(model).backward()
    return graph


def gpt2() -> Graph:
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        n_embd=96, n_head=4, n_layer=12, vocab_size=500, n_positions=64, bos_token_id=0,
        eos_token_id=0, attn_implementation="eager",
    )  # fmt: skip
    tokens = torch.randint(0, 500, (2, 16))
    return traced(GPT2LMHeadModel(config), lambda m: cross_entropy(
        m(input_ids=tokens).logits.flatten(0, 1), tokens.flatten()))  # fmt: skip


def resnet50() -> Graph:
    from transformers import ResNetConfig, ResNetForImageClassification

    return _classified(ResNetForImageClassification(ResNetConfig(num_labels=10)))


def vit() -> Graph:
    from transformers import ViTConfig, ViTForImageClassification

    config = ViTConfig(
        hidden_size=96, num_hidden_layers=12, num_attention_heads=4, intermediate_size=192,
        image_size=64, num_labels=10, attn_implementation="eager",
    )  # fmt: skip
    return _classified(ViTForImageClassification(config))


def _classified(model: nn.Module) -> Graph:
    labels = torch.tensor(LABELS)
    return traced(
        model, lambda m: cross_entropy(m(pixel_values=torch.randn(IMAGES)).logits, labels)
    )


class Recurrent(nn.Module):
    """An LSTM cell that runs over a sequence."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.head = nn.LSTMCell(8, 16), nn.Linear(16, 5)

    def forward(self, sequence: torch.Tensor) -> torch.Tensor:
        h, c = torch.zeros(sequence.shape[1], 16), torch.zeros(sequence.shape[1], 16)
        for each in sequence:
            h, c = self.cell(each, (h, c))
        return self.head(h)


def lstm() -> Graph:
    sequence, labels = torch.randn(50, 4, 8), torch.randint(0, 5, (4,))
    return traced(Recurrent(), lambda m: cross_entropy(m(sequence), labels))


class Gated(nn.Module):
    """An LSTM written by hand, which has no state before its first step."""

    def __init__(self) -> None:
        super().__init__()
        self.x, self.h = nn.Linear(8, 64), nn.Linear(16, 64, bias=False)
        self.head = nn.Linear(16, 5)

    def forward(self, sequence: torch.Tensor) -> torch.Tensor:
        h, c = None, None
        for each in sequence:
            gates = self.x(each) if h is None else self.x(each) + self.h(h)
            i, f, o, u = gates.chunk(4, -1)
            new = i.sigmoid() * u.tanh()
            c = new if c is None else f.sigmoid() * c + new
            h = o.sigmoid() * c.tanh()
        return self.head(h)


def gated() -> Graph:
    sequence, labels = torch.randn(50, 4, 8), torch.randint(0, 5, (4,))
    return traced(Gated(), lambda m: cross_entropy(m(sequence), labels))


def double(wide: int, out: int) -> nn.Sequential:
    first = nn.Conv2d(wide, out, 3, padding=1), nn.BatchNorm2d(out), nn.ReLU()
    second = nn.Conv2d(out, out, 3, padding=1), nn.BatchNorm2d(out), nn.ReLU()
    return nn.Sequential(*first, *second)


class UNet(nn.Module):
    """Three levels down, three up, each with what the way down left there."""

    def __init__(self, wide: int = 8) -> None:
        super().__init__()
        self.down1, self.down2, self.down3 = double(3, 8), double(8, 16), double(16, 32)
        self.pool, self.bottom = nn.MaxPool2d(2), double(32, 64)
        self.lift3, self.up3 = nn.ConvTranspose2d(64, 32, 2, 2), double(64, 32)
        self.lift2, self.up2 = nn.ConvTranspose2d(32, 16, 2, 2), double(32, 16)
        self.lift1, self.up1 = nn.ConvTranspose2d(16, 8, 2, 2), double(16, 8)
        self.head = nn.Conv2d(8, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first = self.down1(x)
        second = self.down2(self.pool(first))
        third = self.down3(self.pool(second))
        y = self.bottom(self.pool(third))
        y = self.up3(torch.cat([self.lift3(y), third], 1))
        y = self.up2(torch.cat([self.lift2(y), second], 1))
        y = self.up1(torch.cat([self.lift1(y), first], 1))
        return self.head(y)


def unet() -> Graph:
    image, labels = torch.randn(2, 3, 32, 32), torch.randint(0, 2, (2, 32, 32))
    return traced(UNet(), lambda m: cross_entropy(m(image), labels))


NETWORKS = {"gpt2": gpt2, "resnet50": resnet50, "vit": vit, "lstm": lstm, "unet": unet}
