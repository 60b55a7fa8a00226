"""Whether a training is recorded alike where nothing is compiled."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.checkpoint import checkpoint

import gradtrace
from gradtrace.recording.statistics import STATISTICS
from gradtrace_torch.compiled import COMPILED
from gradtrace_torch.recording.calls import Calls
from gradtrace_torch.recording.parameter import Parameter


class Varied(nn.Module):
    """A network with something of each kind that is recorded in a way of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(inplace=True))
        self.pool = nn.MaxPool2d(2)
        self.rows = nn.GRU(16, 8, batch_first=True)
        self.brief = nn.Linear(8, 8, dtype=torch.bfloat16)
        self.exact = nn.Linear(8, 8, dtype=torch.float64)
        self.same = nn.Linear(8, 8)
        self.squash = nn.Sequential(nn.Sigmoid(), nn.Identity(), nn.Softmax(dim=-1))
        self.words = nn.Embedding(9, 8, sparse=True)
        self.wide = nn.Linear(8, 4500)
        self.frozen = nn.Linear(4500, 8).requires_grad_(False)
        self.idle = nn.Linear(2, 2)

    def forward(self, images: Tensor, words: Tensor) -> Tensor:
        x = self.pool(self.stem(images))
        x, _ = self.rows(x.to(memory_format=torch.channels_last).flatten(2))
        x = self.brief(x.bfloat16()).float() + self.exact(x.double()).float()
        x = self.same(torch.tanh(self.same(x)))
        x = x.mean(1) + self.words(words)
        x = checkpoint(self.squash, x, use_reentrant=False)
        return self.frozen(self.wide(x)).t().contiguous().t()


def train(directory: Path) -> None:
    """Record ten steps, the last with a NaN."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = Varied()
    words = list(model.words.parameters())
    rest = [p for p in model.parameters() if p is not words[0]]
    optimizers = [torch.optim.AdamW(rest, lr=1e-2), torch.optim.SGD(words, lr=0.1)]
    with gradtrace.record(
        model, directory, optimizer=optimizers, histograms_every=3, snapshots_every=None
    ) as recorder:
        for step in range(10):
            for _ in range(1 + step % 2):
                out = model(torch.randn(5, 1, 8, 8), torch.randint(9, (5,)))
                loss = cross_entropy(out, torch.randint(8, (5,)))
                (loss * (float("nan") if step == 9 else 1.0)).backward()
            if step % 4 == 1:
                nn.utils.clip_grad_norm_(rest, 1e-3)
            if step == 6:
                for parameter in rest:
                    parameter.data = parameter.data * 0.5
            for optimizer in optimizers:
                optimizer.step()
                optimizer.zero_grad()
            recorder.step(loss=loss)


def numbers(directory: Path) -> Iterator[tuple[str, tuple[str, ...], object]]:
    """Yield all that was recorded: what it is, the nodes it is of, and its numbers."""
    run = gradtrace.open_recording(directory)
    for quantity in dict.fromkeys(each.quantity for each in run.series):
        for statistic in STATISTICS:
            matrix = run.matrix(quantity, statistic)
            yield f"{statistic} of {quantity}", matrix.nodes, matrix.values
        for node in run.matrix(quantity).nodes:
            yield f"histogram of {quantity}", (node,), run.histograms(node, quantity).counts


@pytest.mark.skipif(not COMPILED, reason="was not compiled")
def test_a_training_is_recorded_alike(tmp_path: Path) -> None:
    train(tmp_path / "compiled")
    command = [sys.executable, "-m", __name__, str(tmp_path / "not")]
    subprocess.run(command, check=True, env=os.environ | {"GRADTRACE_COMPILED": "0"})
    both = zip(numbers(tmp_path / "compiled"), numbers(tmp_path / "not"), strict=True)
    seen = 0
    for (what, nodes, found), (_, same_nodes, expected) in both:
        assert nodes == same_nodes
        np.testing.assert_allclose(found, expected, rtol=2e-5, atol=1e-7, err_msg=what)
        seen += np.isfinite(np.asarray(found, dtype=float)).sum()
    assert seen > 5000


@pytest.mark.skipif(not COMPILED, reason="was not compiled")
def test_the_usual_goes_the_compiled_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise AssertionError("left to what is not compiled")

    for left in (Calls.put_odd, Calls.arrived_odd, Parameter.surrender):
        monkeypatch.setattr(f"{left.__module__}.{left.__qualname__}", fail)
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(72, 2))
    optimizer = torch.optim.Adam(model.parameters())
    options: dict[str, Any] = {"histograms_every": None, "snapshots_every": None}
    with gradtrace.record(model, tmp_path / "run", **options) as recorder:
        for _ in range(3):
            model(torch.randn(5, 1, 8, 8)).square().mean().backward()
            optimizer.step()
            optimizer.zero_grad()
            recorder.step()
    run = gradtrace.open_recording(tmp_path / "run")
    for quantity in ("output", "upstream gradient", "gradient", "value", "update"):
        assert np.isfinite(run.matrix(quantity).values).all()


if __name__ == "__main__":
    assert not COMPILED
    train(Path(sys.argv[1]))
