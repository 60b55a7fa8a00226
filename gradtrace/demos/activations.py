"""Activations with their derivatives: as formulas, as numbers, as curves, as a graph."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console

import gradtrace
import gradtrace_numpy as gn
from gradtrace.demos.story import Story, joined, slopes

__all__ = ["ACTIVATIONS", "run"]

POINTS = np.array([-4.0, -2.0, -1.0, -0.25, 0.25, 1.0, 2.0, 4.0])

BLOCKS = " ▁▂▃▄▅▆▇█"


class Activation(NamedTuple):
    """A function with its derivative, as formulas and as code."""

    formula: str
    slope_formula: str
    function: Callable[[Any], Any]
    slope: Callable[[Any], Any]


def sigmoid(x: Any) -> Any:
    """Return σ(x) = 1 / (1 + e⁻ˣ)."""
    return 1 / (1 + np.exp(-x))


ACTIVATIONS = {
    "sigmoid": Activation(
        "1 / (1 + e⁻ˣ)",
        "σ(x)(1 − σ(x)), at most ¼",
        gn.sigmoid,
        lambda x: sigmoid(x) * (1 - sigmoid(x)),
    ),
    "tanh": Activation(
        "(eˣ − e⁻ˣ) / (eˣ + e⁻ˣ)",
        "1 − tanh²(x), at most 1",
        np.tanh,
        lambda x: 1 - np.tanh(x) ** 2,
    ),
    "relu": Activation(
        "max(0, x)", "1 where x > 0, else 0", gn.relu, lambda x: np.where(x > 0, 1.0, 0.0)
    ),
    "leaky_relu": Activation(
        "max(0.1x, x)",
        "1 where x > 0, else 0.1",
        lambda x: gn.leaky_relu(x, 0.1),
        lambda x: np.where(x > 0, 1.0, 0.1),
    ),
}


def run(output: Path, console: Console) -> dict[str, Any]:
    """Show four activations, and read their slopes off the edges of one graph."""
    story = Story("activations", output, console)
    story.say(
        "An activation is applied to each element on its own. Its Jacobian is therefore diagonal, "
        "and all there is to know of it is one slope an element."
    )
    story.table(
        ("activation", "f(x)", "f′(x)"),
        [(name, row.formula, row.slope_formula) for name, row in ACTIVATIONS.items()],
    )
    story.part("As curves, from x = −4 to x = 4")
    story.say("Each f over its own range; every f′ over the same, from 0 to 1:")
    grid = np.linspace(-4, 4, 57)
    for name, row in ACTIVATIONS.items():
        values, slope = curve(row.function(grid)), curve(row.slope(grid), low=0.0, high=1.0)
        story.code(f"{name:10}  f   {values}\n{'':10}  f′  {slope}")
    graph = trace()
    story.part("As numbers, read off the edges of the graph")
    found = {name: diagonal(graph, name) for name in ACTIVATIONS}
    story.table(
        ("x", *(f"{name}′" for name in ACTIVATIONS)),
        [
            (float(x), *(float(found[name][index]) for name in ACTIVATIONS))
            for index, x in enumerate(POINTS)
        ],
    )
    story.say(
        "Far from 0 the sigmoid and tanh are flat: a gradient that comes to them is multiplied by "
        "nearly 0. ReLU lets it through whole or not at all; leaky ReLU always leaves a tenth."
    )
    story.part("Checked")
    for name, row in ACTIVATIONS.items():
        story.agree(f"{name}: the formula for f′", found[name], row.slope(POINTS))
    differences = [
        slopes(lambda x, f=row.function: np.sum(f(x)), POINTS) for row in ACTIVATIONS.values()
    ]
    what = "central differences, for all four"
    story.agree(what, joined(differences), joined(found.values()), tolerance=1e-6)
    story.chain_rule(graph)
    story.figure(
        graph,
        title="Four activations of the same eight numbers",
        show=["shapes", "values", "upstream_gradients", "gains"],
    )
    return {**story.facts, "slopes": {name: each.tolist() for name, each in found.items()}}


def trace() -> gradtrace.Graph:
    """Return the graph of the sum of all four activations of all points."""
    x = gn.array(POINTS, name="x")
    with gradtrace.trace(keep="all", derivatives="exact") as graph:
        results = [row.function(x) for row in ACTIVATIONS.values()]
        np.sum(np.stack(results)).backward()
    return graph


def diagonal(graph: gradtrace.Graph, name: str) -> Any:
    """Return the slopes on the edge from x to an activation."""
    derivative = graph.edges["x", name, 0]["local_derivative"]
    assert derivative.structure == "diagonal"
    return derivative.array


def curve(values: Any, *, low: float | None = None, high: float | None = None) -> str:
    """Draw numbers in blocks, from `low` to `high`, which are the least and the most unless told.

    >>> curve(np.array([0.0, 0.5, 1.0]))
    ' ▄█'
    """
    least = float(np.min(values)) if low is None else low
    most = float(np.max(values)) if high is None else high
    heights = (np.asarray(values) - least) / (most - least)
    return "".join(BLOCKS[round(8 * height)] for height in heights)
