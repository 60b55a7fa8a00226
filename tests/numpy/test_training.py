"""A small convolutional network learns the digits of scikit-learn."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from sklearn.datasets import load_digits
from threadpoolctl import threadpool_limits

import gradtrace_numpy as gn

pytestmark = pytest.mark.slow


def digits() -> tuple[Any, Any]:
    data = load_digits()
    return data.images[:, None] / 16.0, data.target


def parameters(rng: np.random.Generator) -> dict[str, gn.Array]:
    shapes = {"conv1": (16, 1, 3, 3), "conv2": (32, 16, 3, 3), "fc": (10, 128)}
    made: dict[str, gn.Array] = {}
    for name, shape in shapes.items():
        scale = np.sqrt(2 / np.prod(shape[1:]))
        made[f"{name}.weight"] = gn.parameter(rng.normal(size=shape) * scale)
        made[f"{name}.bias"] = gn.parameter(np.zeros(shape[0]))
    return made


def logits(engine: Any, p: Any, x: Any) -> Any:
    for name in ("conv1", "conv2"):
        x = engine.conv2d(x, p[f"{name}.weight"], p[f"{name}.bias"], padding=1)
        x = engine.max_pool2d(engine.relu(x), 2)
    return engine.linear(x.reshape(len(x), -1), p["fc.weight"], p["fc.bias"])


def test_it_learns_the_digits_in_under_two_minutes() -> None:
    rng = np.random.default_rng(0)
    images, labels = digits()
    order = rng.permutation(len(images))
    train, test = order[:1437], order[1437:]
    p = parameters(rng)
    optimizer = gn.Adam(p, lr=3e-3)
    start = time.process_time()
    with threadpool_limits(1):  # threads that wait for each other are slower than one
        for _ in range(8):
            for batch in np.array_split(rng.permutation(train), 22):
                gn.cross_entropy(logits(gn, p, images[batch]), labels[batch]).backward()
                optimizer.step()
                optimizer.zero_grad()
    guesses = logits(gn, p, images[test]).data.argmax(axis=1)
    assert (guesses == labels[test]).mean() > 0.95
    assert time.process_time() - start < 120


def quickest(step: Callable[[], None]) -> float:
    step()
    times = []
    for _ in range(15):
        start = time.process_time()
        step()
        times.append(time.process_time() - start)
    return min(times)


def test_a_step_is_within_ten_times_that_of_torch_on_one_thread() -> None:
    images, labels = (each[:64] for each in digits())
    p = parameters(np.random.default_rng(0))
    theirs = {name: torch.nn.Parameter(torch.tensor(each.numpy())) for name, each in p.items()}
    x, y = torch.tensor(images), torch.tensor(labels)
    ours, reference = gn.SGD(p, lr=1e-3), torch.optim.SGD(theirs.values(), lr=1e-3)

    def our_step() -> None:
        gn.cross_entropy(logits(gn, p, images), labels).backward()
        ours.step()
        ours.zero_grad()

    def their_step() -> None:
        F.cross_entropy(logits(F, theirs, x), y).backward()
        reference.step()
        reference.zero_grad()

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            ratio = quickest(our_step) / quickest(their_step)
    finally:
        torch.set_num_threads(threads)
    assert ratio < 10
    for name, each in p.items():
        np.testing.assert_allclose(each.data, theirs[name].detach().numpy(), rtol=1e-9, atol=1e-12)
