"""Whether the demos find what PyTorch, or a formula, says."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from gradtrace.demos import (
    activations,
    attention,
    convolution,
    deep,
    exploding,
    matrix,
    perceptron,
    practice,
    recurrent,
    scalar,
    vanishing,
)
from tests.demos.test_story import TEXTBOOK, told

EXPECTED: dict[str, Callable[[dict[str, Any]], None]] = {}


def expect(function: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, Any]], None]:
    EXPECTED[function.__name__.rstrip("_")] = function
    return function


def leaf(array: Any) -> Tensor:
    return torch.tensor(np.asarray(array, np.float64), requires_grad=True)


def assert_same(found: Any, expected: Any) -> None:
    right = expected.detach().numpy() if isinstance(expected, Tensor) else np.asarray(expected)
    np.testing.assert_allclose(found, right, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("name", TEXTBOOK)
def test_its_numbers_are_right(name: str) -> None:
    EXPECTED[name](told(name).facts)


def test_every_demo_has_its_expectation() -> None:
    assert set(EXPECTED) == set(TEXTBOOK)


@expect
def composite(facts: dict[str, Any]) -> None:
    x = leaf(2.0)
    ((x**2 + 1) ** 3).backward()
    assert (facts["dz/dy"], facts["dy/dx"], facts["dz/dx"]) == (75.0, 4.0, 300.0)
    assert_same(facts["dz/dx"], x.grad)


@expect
def scalar_(facts: dict[str, Any]) -> None:
    w1, b1, w2, b2 = leaves = [leaf(value) for value in scalar.PARAMETERS.values()]
    ((w2 * torch.sigmoid(w1 * scalar.X + b1) + b2 - scalar.T) ** 2).backward()
    assert_same(list(facts["gradients"].values()), [each.grad.item() for each in leaves])


@expect
def deep_(facts: dict[str, Any]) -> None:
    h = x = leaf(deep.INPUT)
    for w in deep.WEIGHTS:
        h = torch.tanh(torch.tensor(w) @ h)
    (0.5 * h.square().sum()).backward()
    assert_same(facts["gradient"], x.grad)
    assert facts["steps"] == 2 * deep.DEPTH + 3


@expect
def activations_(facts: dict[str, Any]) -> None:
    functions = {
        "sigmoid": torch.sigmoid,
        "tanh": torch.tanh,
        "relu": torch.relu,
        "leaky_relu": lambda x: F.leaky_relu(x, 0.1),
    }
    assert set(facts["slopes"]) == set(functions)
    for name, function in functions.items():
        x = leaf(activations.POINTS)
        function(x).sum().backward()
        assert_same(facts["slopes"][name], x.grad)


@expect
def perceptron_(facts: dict[str, Any]) -> None:
    p = {name: leaf(array) for name, array in perceptron.parameters().items()}
    x, target = map(torch.tensor, perceptron.samples())
    h1 = torch.tanh(x @ p["W1"] + p["b1"])
    h2 = torch.relu(h1 @ p["W2"] + p["b2"])
    h1.retain_grad()
    h2.retain_grad()
    loss = F.cross_entropy(h2 @ p["W3"] + p["b3"], target)
    loss.backward()
    assert_same(facts["loss"], loss)
    found = perceptron.by_hand(perceptron.parameters(), *perceptron.samples())
    for name, tensor in {**p, "h1": h1, "h2": h2}.items():
        assert_same(found[name], tensor.grad)


@expect
def matrix_(facts: dict[str, Any]) -> None:
    w, x, b = leaf(matrix.W), leaf(matrix.X), leaf(matrix.B)
    (0.5 * (w @ x + b - torch.tensor(matrix.T)).square().sum()).backward()
    for name, tensor in {"W": w, "x": x, "b": b}.items():
        assert_same(facts["gradients"][name], tensor.grad)


@expect
def convolution_(facts: dict[str, Any]) -> None:
    image, kernel = leaf(convolution.IMAGE[None, None]), leaf(convolution.KERNEL[None, None])
    F.conv2d(image, kernel).backward(torch.tensor(convolution.SEED[None, None]))
    assert_same(facts["image"], image.grad[0, 0])
    assert_same(facts["kernel"], kernel.grad[0, 0])


@expect
def vanishing_(facts: dict[str, Any]) -> None:
    layers = {
        "sigmoid": lambda w, h: torch.sigmoid(w @ h),
        "tanh": lambda w, h: torch.tanh(w @ h),
        "ReLU, small": lambda w, h: torch.relu(w @ h),
        "ReLU, He": lambda w, h: torch.relu(w @ h),
        "residual": lambda w, h: h + torch.sigmoid(w @ h),
    }
    start = np.random.default_rng(4).normal(size=vanishing.WIDTH)
    for name, layer in layers.items():
        states = [torch.tensor(start)]
        for w in vanishing.weights_of(vanishing.STACKS[name]):
            states.append(layer(torch.tensor(w), states[-1]).requires_grad_())
            states[-1].retain_grad()
        states[-1].backward(torch.full((vanishing.WIDTH,), vanishing.WIDTH**-0.5).double())
        lengths = np.array([state.grad.norm().item() for state in reversed(states[1:])])
        np.testing.assert_allclose(facts["gains"][name], lengths[1:] / lengths[:-1], rtol=1e-9)
    assert facts["bounded"]
    typical = {name: math.exp(np.log(gains).mean()) for name, gains in facts["gains"].items()}
    assert typical["sigmoid"] < 0.3 < 0.65 < typical["ReLU, small"] < 0.8
    assert 0.9 < typical["ReLU, He"] < 1.1
    assert 0.98 < typical["residual"] < 1.05


@expect
def exploding_(facts: dict[str, Any]) -> None:
    w, b = leaf(exploding.TURN), leaf(exploding.BIAS)
    h = torch.tensor(exploding.START)
    for _ in range(exploding.STEPS):
        h = w @ h + b
    (0.5 * (h - torch.tensor(exploding.TARGET)).square().sum()).backward()
    norm = torch.nn.utils.clip_grad_norm_([w, b], exploding.MOST)
    assert facts["norm"] == pytest.approx(norm.item(), rel=1e-9)
    assert facts["losses"]["without"] == "NaN"
    assert facts["losses"]["with clipping"] < 0.01


@expect
def pytorch(facts: dict[str, Any]) -> None:
    s = 1 / (1 + np.exp(-np.array([-1.0, 0.0, 2.0])))
    assert_same(facts["gradient"], 2 / 3 * s**2 * (1 - s))


@expect
def recurrent_(facts: dict[str, Any]) -> None:
    n = {name: torch.tensor(array) for name, array in recurrent.numbers().items()}
    copies = [n["W"].clone().requires_grad_() for _ in range(recurrent.STEPS)]
    h = torch.zeros(recurrent.WIDTH, dtype=torch.float64)
    for w, x in zip(copies, n["x"], strict=True):
        h = torch.tanh(w @ h + n["U"] @ x)
    (0.5 * (h - n["target"]).square().sum()).backward()
    assert recurrent.STEPS >= 50
    assert_same(facts["shares"], [w.grad.norm().item() for w in copies])


@expect
def attention_(facts: dict[str, Any]) -> None:
    q, k, v, g = (leaf(array) for array in attention.numbers().values())
    F.scaled_dot_product_attention(q[None], k[None], v[None])[0].backward(g.detach())
    for name, tensor in {"Q": q, "K": k, "V": v}.items():
        assert_same(facts["gradients"][name], tensor.grad)


@expect
def checking(facts: dict[str, Any]) -> None:
    assert facts["errors"]["right"] < 1e-8
    assert facts["errors"]["wrong"] > 0.1
    assert facts["found"]
    assert facts["best"] == 1e-5


@expect
def mistakes(facts: dict[str, Any]) -> None:
    reveals = {
        "forgotten intermediate": "is 1.76159, central differences say 0.184956",
        "wrong dimensions": "(4, 2), x2 (3, 2)",
        "broadcasting": "(4, 1) and a target of shape (4,)",
        "mixed up": "is not what its local derivative says",
    }
    assert set(facts["found"]) == set(reveals)
    for mistake, words in reveals.items():
        assert words in facts["found"][mistake]


@expect
def practice_(facts: dict[str, Any]) -> None:
    x, kernel = leaf([-2.0, 0.5, 3.0]), leaf(practice.KERNEL[None, None])
    F.silu(x).sum().backward()
    point = x.detach().numpy()
    swish = practice.swish.pull(0, np.ones(3), practice.swish(point), (point,), {})
    assert_same(swish, x.grad)
    hidden = torch.relu(F.conv2d(torch.tensor(practice.IMAGE[None, None]), kernel))
    (0.5 * (practice.SCALE * hidden.mean() + practice.SHIFT - practice.T) ** 2).backward()
    assert_same(facts["kernel"], kernel.grad[0, 0])
    assert len(facts["checks"]) == 5
