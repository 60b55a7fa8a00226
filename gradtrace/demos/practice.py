"""Practice problems with their solutions: a network by hand, an own activation, a mini CNN."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

import gradtrace
import gradtrace_numpy as gn
from gradtrace.demos.convolution import correlate
from gradtrace.demos.story import Story, joined, matrix, slopes
from gradtrace.render.numbers import number

__all__ = ["run", "swish"]

X = np.array([1.0, 2.0])
W1 = np.array([[1.0, 0.0], [-1.0, 1.0], [0.5, -1.0]])
W2 = np.array([2.0, -1.0, 3.0])
B2, T = 0.5, 1.0

IMAGE = np.array(
    [[1.0, 0.0, 2.0, 1.0], [0.0, 1.0, 1.0, 0.0], [2.0, 1.0, 0.0, 1.0], [1.0, 0.0, 1.0, 1.0]]
)
KERNEL = np.array([[1.0, -1.0], [0.5, 0.25]])
SCALE, SHIFT = 3.0, -0.5


def run(output: Path, console: Console) -> dict[str, Any]:
    """State three problems, solve them on paper, and let the engine check."""
    story = Story("practice", output, console)
    story.say("Cover the solutions, and try first. Every number can be found without a computer.")
    two_layers(story)
    custom_activation(story)
    mini_network(story)
    return story.facts


def two_layers(story: Story) -> None:
    """Solve a network with one hidden layer."""
    story.part("1. A network of two layers, by hand")
    story.say(
        "h = ReLU(W₁x), y = w₂ · h + b₂ and L = ½(y − t)², with b₂ = 0.5 and t = 1. What are the "
        "gradients of all parameters, and of x?"
    )
    story.code(f"W₁ =\n{matrix(W1)}\n\nw₂ = {matrix(W2)}   x = {matrix(X)}")
    a = W1 @ X
    h = np.maximum(a, 0)
    y = W2 @ h + B2
    by_y = y - T
    by_a = by_y * W2 * (a > 0)
    story.say("Solution. The third unit is off, and nothing comes back through it:")
    story.derive(
        ("W₁x", matrix(a)),
        ("h", matrix(h)),
        ("y, L", f"{y:g}, {0.5 * by_y**2:g}"),
        ("∂L/∂y", "y − t", f"{by_y:g}"),
        ("∂L/∂w₂", "∂L/∂y · h", matrix(by_y * h)),
        ("∂L/∂h", "∂L/∂y · w₂", matrix(by_y * W2)),
        ("∂L/∂a", "∂L/∂h where a > 0", matrix(by_a)),
        ("∂L/∂x", "W₁ᵀ ∂L/∂a", matrix(W1.T @ by_a)),
    )
    story.code(f"∂L/∂W₁ = ∂L/∂a xᵀ =\n{matrix(np.outer(by_a, X))}")
    leaves = [gn.array(X), gn.parameter(W1), gn.parameter(W2), gn.parameter(B2)]
    x, w1, w2, b2 = leaves
    loss = 0.5 * (w2 @ np.maximum(w1 @ x, 0) + b2 - T) ** 2
    loss.backward()
    solution = joined([W1.T @ by_a, np.outer(by_a, X), by_y * h, by_y])
    story.agree("the engine's gradients", joined(leaf.grad for leaf in leaves), solution)


@gn.primitive(
    lambda u, y, x: u * (y + (1 - y) / (1 + np.exp(-x))),
    formulas=["1 / (1 + exp(-x)) + x * exp(-x) / (1 + exp(-x))**2"],
)
def swish(x: Any) -> Any:
    """Return x · σ(x)."""
    return x / (1 + np.exp(-x))


def custom_activation(story: Story) -> None:
    """Derive the slope of an activation, and add it to the engine."""
    story.part("2. An activation of your own")
    story.say("What is the derivative of swish(x) = x · σ(x)? Write it with σ and swish alone.")
    story.say("Solution. By the product rule, and with σ′ = σ(1 − σ):")
    story.derive(
        ("swish′", "σ + x · σ(1 − σ)", "σ + swish · (1 − σ)", "swish + σ · (1 − swish)"),
    )
    story.code(
        "@gn.primitive(lambda u, y, x: u * (y + (1 - y) / (1 + np.exp(-x))))\n"
        "def swish(x):\n"
        "    return x / (1 + np.exp(-x))"
    )
    points = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
    x = gn.array(points)
    np.sum(swish(x)).backward()
    story.table(("x", "swish′(x)"), zip(points.tolist(), x.grad.tolist(), strict=True))
    check = gn.check_gradient(swish, points, raises=False)
    story.facts["checks"]["swish"] = check.error
    story.verdict(check.ok, f"check_gradient: {check}")
    sigmoid = 1 / (1 + np.exp(-points))
    story.agree("σ + x · σ(1 − σ)", x.grad, sigmoid + points * sigmoid * (1 - sigmoid))


def mini_network(story: Story) -> None:
    """Find the gradient of a kernel in a small convolutional network."""
    story.part("3. A mini convolutional network")
    story.say(
        "a = X ⋆ K, h = ReLU(a), m = mean(h), y = 3m − 0.5 and L = ½(y − 1)². The image X is "
        "4 × 4, the kernel K is 2 × 2. What is ∂L/∂K?"
    )
    story.code(f"X =\n{matrix(IMAGE)}\n\nK =\n{matrix(KERNEL)}")
    a = correlate(IMAGE, KERNEL)
    y = SCALE * np.maximum(a, 0).mean() + SHIFT
    by_a = (y - T) * SCALE / a.size * (a > 0)
    by_kernel = correlate(IMAGE, by_a)
    story.say(
        "Solution. The mean gives each of its 9 elements a ninth, ReLU stops those that are off, "
        "and the kernel's gradient is the correlation of the image with what is left:"
    )
    story.derive(
        ("y, ∂L/∂y", f"{number(y)}, {number(y - T)}"),
        ("∂L/∂a", "∂L/∂y · 3 · 1/9 where a > 0"),
        ("∂L/∂K", "X ⋆ ∂L/∂a"),
    )
    story.code(f"a =\n{matrix(a)}\n\n∂L/∂a =\n{matrix(by_a)}\n\n∂L/∂K =\n{matrix(by_kernel)}")
    kernel = gn.parameter(KERNEL[None, None], name="kernel")
    with gradtrace.trace(keep="all", derivatives="exact") as graph:
        loss_of(kernel).backward()
    story.agree("the engine's gradient", kernel.grad[0, 0], by_kernel)
    differences = slopes(lambda k: loss_of(k[None, None]), KERNEL)
    story.agree("central differences", differences, by_kernel, tolerance=1e-6)
    story.facts["kernel"] = by_kernel.tolist()
    story.chain_rule(graph)
    story.figure(graph, title="A mini convolutional network")


def loss_of(kernel: Any) -> Any:
    """Return the loss of the mini network."""
    image = IMAGE[None, None]
    hidden = gn.relu(gn.conv2d(image, kernel))
    return 0.5 * (SCALE * np.mean(hidden) + SHIFT - T) ** 2
