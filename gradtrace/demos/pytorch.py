"""The PyTorch example, sigmoid → square → mean: automatic against by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console

import gradtrace
import gradtrace_numpy as gn
from gradtrace.demos.story import Story, joined, matrix

__all__ = ["run"]

POINT = [-1.0, 0.0, 2.0]

PROGRAM = """\
x = torch.tensor([-1.0, 0.0, 2.0], dtype=torch.float64, requires_grad=True)
with gradtrace.trace(keep="all", derivatives="exact") as graph:
    loss = torch.sigmoid(x).square().mean()
    loss.backward()"""


def run(output: Path, console: Console) -> dict[str, Any]:
    """Run three calls in PyTorch, and compute their gradient by hand."""
    story = Story("pytorch", output, console)
    story.say("Three calls, whose gradients PyTorch finds by itself:")
    story.code(PROGRAM)
    graph, automatic = trace()
    x = np.array(POINT)
    s = 1 / (1 + np.exp(-x))
    n = len(POINT)
    story.say("By hand, forward:")
    story.derive(
        ("x", matrix(x)),
        ("s", "σ(x)", matrix(s)),
        ("q", "s²", matrix(s**2)),
        ("L", "mean(q)", f"{(s**2).mean():.6f}"),
    )
    story.say("and backward. The mean gives each of its 3 elements a third, then slopes multiply:")
    story.derive(
        ("∂L/∂q", "1/n", matrix(np.full(n, 1 / n))),
        ("∂L/∂s", "∂L/∂q · 2s", matrix(2 * s / n)),
        ("∂L/∂x", "∂L/∂s · s(1 − s)", matrix(2 * s / n * s * (1 - s))),
    )
    by_hand = {"mean": np.ones(()), "square": np.full(n, 1 / n), "sigmoid": 2 * s / n}
    by_hand["x"] = by_hand["sigmoid"] * s * (1 - s)
    story.say(f"PyTorch says x.grad = {matrix(automatic)}.")
    story.part("The same on the graph")
    story.graph(graph)
    story.part("Checked")
    for node, expected in by_hand.items():
        found = graph.nodes[node]["upstream_gradient"].array
        story.agree(f"the upstream gradient of {node}", found, expected)
    story.agree("x.grad", automatic, by_hand["x"])
    story.agree("the NumPy engine", in_numpy(), by_hand["x"])
    slope = graph.edges["x", "sigmoid", 0]["local_derivative"].dense()
    story.agree("the Jacobian of σ is diag(s(1 − s))", joined(slope), joined(np.diag(s * (1 - s))))
    story.chain_rule(graph)
    story.figure(graph, title="sigmoid → square → mean")
    return {**story.facts, "gradient": automatic.tolist()}


def trace() -> tuple[gradtrace.Graph, Any]:
    """Return the graph of the program above, with the gradient of x."""
    x = torch.tensor(POINT, dtype=torch.float64, requires_grad=True)
    with gradtrace.trace(keep="all", derivatives="exact") as graph:
        loss = torch.sigmoid(x).square().mean()
        loss.backward()
    assert x.grad is not None
    return graph, x.grad.numpy()


def in_numpy() -> Any:
    """Return the gradient as the NumPy engine finds it."""
    x = gn.array(POINT)
    np.mean(np.square(gn.sigmoid(x))).backward()
    return x.grad
