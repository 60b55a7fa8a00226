"""Why gradients vanish: activations, initialization and shortcuts compared, gain by gain."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console

import gradtrace
import gradtrace_numpy as gn
from gradtrace.demos.story import Story

__all__ = ["STACKS", "run", "trace", "weights_of"]

DEPTH, WIDTH = 30, 64
SHOWN = (30, 25, 20, 15, 10, 5, 1)


class Stack(NamedTuple):
    """A stack of equal layers."""

    layer: Callable[[Any, Any], Any]
    scale: float
    """Standard deviation of a weight, times the root of the width."""
    op: str
    """The call that makes the result of a layer."""


STACKS = {
    "sigmoid": Stack(lambda w, h: gn.sigmoid(w @ h), 1.0, "sigmoid"),
    "tanh": Stack(lambda w, h: np.tanh(w @ h), 1.0, "tanh"),
    "ReLU, small": Stack(lambda w, h: gn.relu(w @ h), 1.0, "relu"),
    "ReLU, He": Stack(lambda w, h: gn.relu(w @ h), 2**0.5, "relu"),
    "residual": Stack(lambda w, h: h + gn.sigmoid(w @ h), 1.0, "add"),
}


def weights_of(stack: Stack) -> list[Any]:
    """Return the weights of all layers: the same numbers for each stack, but for their scale."""
    rng = np.random.default_rng(3)
    return [stack.scale * rng.normal(size=(WIDTH, WIDTH)) / WIDTH**0.5 for _ in range(DEPTH)]


def run(output: Path, console: Console) -> dict[str, Any]:
    """Measure the gain of every layer in five stacks."""
    story = Story("vanishing", output, console)
    story.say(
        f"A gradient that goes back through {DEPTH} layers is multiplied by {DEPTH} local "
        "derivatives. The gain of a layer is what that does to its length: ‖∂L/∂hₗ₋₁‖ / ‖∂L/∂hₗ‖. "
        "Gains multiply, so what is a little below 1 everywhere is next to nothing in the end:"
    )
    story.derive(("0.9³⁰", "0.042"), ("0.5³⁰", "9.3e-10"), ("0.25³⁰", "8.7e-19"))
    graphs = {name: trace(stack) for name, stack in STACKS.items()}
    found = {name: lengths(graph, STACKS[name]) for name, graph in graphs.items()}
    gains = {name: each[1:] / each[:-1] for name, each in found.items()}
    story.say(
        f"Five stacks of layers, each {WIDTH} wide, with random weights of standard deviation "
        "1/√n, or √2/√n for ReLU, He. The stack called residual has sigmoid layers with shortcuts "
        "around them:"
    )
    story.part("The length of the gradient, by layer")
    story.table(
        ("layer", *STACKS),
        [(layer, *(float(found[n][DEPTH - layer]) for n in STACKS)) for layer in SHOWN],
    )
    story.part("The gain of one layer, from the last to the first")
    story.table(
        ("stack", "least", "typical", "most", "all together"),
        [
            (
                name,
                float(each.min()),
                float(np.exp(np.log(each).mean())),
                float(each.max()),
                float(each.prod()),
            )
            for name, each in gains.items()
        ],
    )
    story.say(
        "The slope of the sigmoid is at most ¼, so each of its layers takes three quarters or more "
        "of what a typical weight matrix leaves. tanh has slope 1 at 0, but less elsewhere. ReLU "
        "stops half of the elements, which takes a factor of 1/√2 from the length; weights that "
        "are √2 larger (He and others, 2015) give it back. A shortcut, h + f(Wh), adds the "
        "identity to each Jacobian: whatever f does, a gain near 1 is left."
    )
    story.part("Checked")
    for name, each in gains.items():
        story.agree(f"{name}: gains multiply to the whole", each.prod(), found[name][-1])
    widths = [np.linalg.norm(w, 2) / 4 for w in weights_of(STACKS["sigmoid"])[1:]]
    below = bool(np.all(gains["sigmoid"] <= widths[::-1]))
    story.facts["bounded"] = below
    story.verdict(below, "sigmoid: no gain above ¼ of the largest singular value of W")
    story.chain_rule(graphs["residual"])
    story.figure(trace(STACKS["sigmoid"], depth=4), title="Four sigmoid layers: 1, then less")
    return {**story.facts, "gains": {name: each.tolist() for name, each in gains.items()}}


def trace(stack: Stack, depth: int = DEPTH) -> gradtrace.Graph:
    """Return the graph of a stack, seeded with a gradient of length 1."""
    h: Any = gn.array(np.random.default_rng(4).normal(size=WIDTH), name="x")
    layers = [gn.parameter(w, name=f"W{i}") for i, w in enumerate(weights_of(stack)[:depth], 1)]
    with gradtrace.trace(keep="all", derivatives="exact", limit=WIDTH**2) as graph:
        for w in layers:
            h = stack.layer(w, h)
        h.backward(np.full(WIDTH, WIDTH**-0.5))
    return graph


def lengths(graph: gradtrace.Graph, stack: Stack) -> Any:
    """Return ‖∂L/∂h‖ of every layer, the last first."""
    results = [data for _, data in graph.nodes(data=True) if data["op"] == stack.op]
    return np.array([data["upstream_gradient"].norm for data in reversed(results)])
