"""Two trainings to watch in the dashboard: one learns, in the other the gradient vanishes.

`python -m gradtrace.demos.live FOLDER relu` records the one, `… sigmoid` the other.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.functional import cross_entropy

import gradtrace

__all__ = ["ACTIVATIONS", "train"]

ACTIVATIONS = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid}

DEPTH = 8
WIDTH = 48
BATCH = 64
PAUSE = 0.02
"""Seconds between two steps, so that there is something to watch."""


def train(folder: Path, activation: str, *, steps: int = 3000, pause: float = PAUSE) -> Path:
    """Train a deep network on handwritten digits, recorded in a folder of its own."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    digits = load_digits()
    images = torch.tensor(digits.data / 16, dtype=torch.float32)
    labels = torch.tensor(digits.target)
    model = _network(ACTIVATIONS[activation])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    recorder = gradtrace.record(
        model,
        folder / activation,
        optimizer=optimizer,
        histograms_every=20,
        snapshots_every=200,
        config={"activation": activation, "depth": DEPTH},
    )
    with recorder:
        for _ in range(steps):
            chosen = torch.randint(0, len(images), (BATCH,))
            loss = cross_entropy(model(images[chosen]), labels[chosen])
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            recorder.step(loss=loss)
            time.sleep(pause)
    return recorder.directory


def _network(activation: type[nn.Module]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for index in range(DEPTH):
        layers += [nn.Linear(64 if index == 0 else WIDTH, WIDTH), activation()]
    return nn.Sequential(*layers, nn.Linear(WIDTH, 10))


if __name__ == "__main__":
    train(Path(sys.argv[1]), sys.argv[2])
