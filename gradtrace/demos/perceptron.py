"""Backpropagation written out by hand, matched against the engine at every layer."""

from __future__ import annotations

import inspect
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

import gradtrace
import gradtrace_numpy as gn
from gradtrace.demos.story import Story, slopes

__all__ = ["by_hand", "parameters", "run", "samples"]

SIZES = (4, 6, 5, 3)
SAMPLES = 8


def parameters() -> dict[str, Any]:
    """Return the weights and biases of three layers, the same each time."""
    rng = np.random.default_rng(0)
    layers = list(enumerate(pairwise(SIZES), 1))
    weights = {f"W{i}": rng.normal(size=shape) / shape[0] ** 0.5 for i, shape in layers}
    return {**weights, **{f"b{i}": 0.1 * rng.normal(size=shape[1]) for i, shape in layers}}


def samples() -> tuple[Any, Any]:
    """Return inputs, with the class of each as a row of zeros and a one."""
    rng = np.random.default_rng(1)
    return rng.normal(size=(SAMPLES, SIZES[0])), np.eye(SIZES[-1])[rng.integers(3, size=SAMPLES)]


def loss_of(p: dict[str, Any], x: Any, target: Any) -> Any:
    """Return the cross-entropy of the network, in plain NumPy."""
    h1 = np.tanh(x @ p["W1"] + p["b1"])
    h2 = np.maximum(h1 @ p["W2"] + p["b2"], 0)
    scores = h2 @ p["W3"] + p["b3"]
    log_sums = np.log(np.sum(np.exp(scores), axis=1, keepdims=True))
    return -np.sum(target * (scores - log_sums)) / len(target)


# fmt: off
def by_hand(p: dict[str, Any], x: Any, target: Any) -> dict[str, Any]:
    """Return the gradient of every parameter and hidden layer."""
    # forward, keeping what the way back needs
    h1 = np.tanh(x @ p["W1"] + p["b1"])
    a2 = h1 @ p["W2"] + p["b2"]
    h2 = np.maximum(a2, 0)
    powers = np.exp(h2 @ p["W3"] + p["b3"])
    shares = powers / powers.sum(axis=1, keepdims=True)

    # backward: an error goes back through the weights, times the slope
    error3 = (shares - target) / len(target)
    error2 = (error3 @ p["W3"].T) * (a2 > 0)
    error1 = (error2 @ p["W2"].T) * (1 - h1**2)
    return {
        "W3": h2.T @ error3, "b3": error3.sum(axis=0),
        "h2": error3 @ p["W3"].T,
        "W2": h1.T @ error2, "b2": error2.sum(axis=0),
        "h1": error2 @ p["W2"].T,
        "W1": x.T @ error1, "b1": error1.sum(axis=0),
    }
# fmt: on


def run(output: Path, console: Console) -> dict[str, Any]:
    """Show the algorithm, run it, and compare every layer with the traced engine."""
    story = Story("perceptron", output, console)
    story.say(
        f"A perceptron of three layers ({' → '.join(map(str, SIZES))}; tanh, ReLU, softmax) sees "
        f"{SAMPLES} samples. This is all of backpropagation, written out for it:"
    )
    story.code(inspect.getsource(by_hand).rstrip())
    p, (x, target) = parameters(), samples()
    written = by_hand(p, x, target)
    graph, loss = trace(p, x, target)
    story.say(f"The loss is {loss:.4f}. The traced engine ran the same network; layer by layer:")
    traced = {name: upstream(graph, name) for name in written}
    story.table(
        ("gradient of", "shape", "‖by hand‖", "‖engine‖", "largest difference"),
        [
            (
                name,
                " × ".join(map(str, by.shape)),
                float(np.linalg.norm(by)),
                float(np.linalg.norm(traced[name])),
                float(np.abs(by - traced[name]).max()),
            )
            for name, by in written.items()
        ],
    )
    story.part("Checked")
    for name, by in written.items():
        story.agree(f"{name}: by hand and by the engine", by, traced[name])
    moved = slopes(lambda w: loss_of({**p, "W1": w}, x, target), p["W1"])
    story.agree("W1: central differences", moved, written["W1"], tolerance=1e-6)
    story.chain_rule(graph)
    story.figure(graph, title="A perceptron of three layers")
    return {**story.facts, "loss": loss}


def trace(p: dict[str, Any], x: Any, target: Any) -> tuple[gradtrace.Graph, float]:
    """Return the graph of one pass, with the loss."""
    leaves = {name: gn.parameter(array, name=name) for name, array in p.items()}
    with gradtrace.trace(keep="all", derivatives="exact") as graph:
        loss = loss_of(leaves, x, target)
        loss.backward()
    return graph, loss.item()


HIDDEN = {"h1": "tanh", "h2": "maximum"}
"""The calls that make the hidden layers."""


def upstream(graph: gradtrace.Graph, name: str) -> Any:
    """Return the upstream gradient of a parameter or a hidden layer."""
    return graph.nodes[HIDDEN.get(name, name)]["upstream_gradient"].array
