"""Backpropagation through time: the gradient of every step, and their sum."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

import gradtrace
import gradtrace_numpy as gn
from gradtrace.demos.story import Story, slopes

__all__ = ["by_hand", "loss_of", "numbers", "run"]

STEPS, WIDTH = 60, 4
SHOWN = (60, 59, 58, 55, 50, 40, 30, 20, 10, 1)


def numbers() -> dict[str, Any]:
    """Return inputs, target and weights, the same each time."""
    rng = np.random.default_rng(0)
    turn, _ = np.linalg.qr(rng.normal(size=(WIDTH, WIDTH)))
    return {
        "x": rng.normal(size=(STEPS, 2)),
        "target": np.array([0.5, -0.5, 0.25, 0.0]),
        "W": 1.05 * turn,
        "U": 0.3 * rng.normal(size=(WIDTH, 2)),
    }


def loss_of(w: Any, u: Any, x: Any, target: Any, steps: int = STEPS) -> Any:
    """Return ½‖h − target‖² of the last state."""
    h = np.zeros(WIDTH)
    for t in range(steps):
        h = np.tanh(gn.linear(h, w) + gn.linear(x[t], u))
    return 0.5 * np.sum((h - target) ** 2)


def by_hand(w: Any, u: Any, x: Any, target: Any) -> tuple[Any, Any]:
    """Return, for each step, ∂L/∂aₜ of what tanh is applied to, and its share of ∂L/∂W."""
    states = [np.zeros(WIDTH)]
    for each in x:
        states.append(np.tanh(w @ states[-1] + u @ each))
    errors, error = [], states[-1] - target
    for h in reversed(states[1:]):
        error = error * (1 - h**2)
        errors.append(error)
        error = w.T @ error
    deltas = np.array(errors[::-1])
    return deltas, np.einsum("ti,tj->tij", deltas, states[:-1])


def run(output: Path, console: Console) -> dict[str, Any]:
    """Follow the gradient through 60 steps that share their weights."""
    story = Story("recurrent", output, console)
    story.say(
        f"A recurrent network takes the step hₜ = tanh(W hₜ₋₁ + U xₜ) {STEPS} times, with the "
        "same W each time. Unrolled it is a deep network with one weight matrix for all layers. "
        "In the graph, W is one node with an edge for each use, and its gradient is their sum:"
    )
    story.derive(
        ("δₜ", "(1 − hₜ²) · Wᵀδₜ₊₁", "∂L/∂aₜ of what tanh is applied to"),
        ("∂L/∂W", "Σₜ δₜ hₜ₋₁ᵀ", "one share for each step"),
    )
    n = numbers()
    graph, gradient = trace(n)
    shares = shares_of(graph)
    deltas, expected = by_hand(n["W"], n["U"], n["x"], n["target"])
    sums = np.cumsum(shares[::-1], axis=0)[::-1]
    story.part(f"Step by step, from {STEPS} back to 1")
    story.table(
        ("step t", "‖δₜ‖", "‖share of ∂L/∂W‖", "‖sum of t and later‖"),
        [(t, *(length(each[t - 1]) for each in (deltas, shares, sums))) for t in SHOWN],
    )
    story.say(
        "Early steps hardly count: tanh and W have taken their gradient away. This is why "
        "a plain recurrent network hardly learns from what was long ago. Step 1 has no share in "
        "∂L/∂W at all, for there W met h₀ = 0."
    )
    story.part("Checked")
    story.agree(f"the shares on {len(shares)} edges, by hand", shares, expected)
    story.agree("their sum is the gradient of W", shares.sum(axis=0), gradient)
    rest = n["U"], n["x"], n["target"]
    differences = slopes(lambda w: loss_of(w, *rest), n["W"])
    story.agree("central differences", differences, gradient, tolerance=1e-6)
    story.chain_rule(graph)
    story.figure(trace(n, steps=3)[0], title="Three steps, which share W and U")
    return {**story.facts, "shares": [length(each) for each in shares]}


def trace(n: dict[str, Any], steps: int = STEPS) -> tuple[gradtrace.Graph, Any]:
    """Return the graph of one pass, with the gradient of W."""
    w, u = (gn.parameter(n[name], name=name) for name in ("W", "U"))
    x = [gn.array(each, name=f"x{t}", differentiable=False) for t, each in enumerate(n["x"], 1)]
    with gradtrace.trace(keep="all", derivatives="exact") as graph:
        loss_of(w, u, x, n["target"], steps).backward()
    return graph, w.grad


def shares_of(graph: gradtrace.Graph) -> Any:
    """Return what each use of W passes back to it, the first step first."""
    edges = sorted(graph.out_edges("W", data=True), key=lambda edge: graph.nodes[edge[1]]["order"])
    return np.array([edge["downstream_gradient"].array for _, _, edge in edges])


def length(array: Any) -> float:
    """Return the Euclidean norm of all elements."""
    return float(np.linalg.norm(array))
