"""A network of single numbers: the gradient of every parameter, factor by factor."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import networkx as nx
from rich.console import Console

import gradtrace
import gradtrace_numpy as gn
from gradtrace.demos.story import Story, product, slopes
from gradtrace.render.numbers import number

__all__ = ["run"]

X, T = 1.5, 1.0
SUBSCRIPTS = str.maketrans("12", "₁₂")
PARAMETERS = {"w1": 0.6, "b1": -0.2, "w2": -1.1, "b2": 0.3}


def loss_of(w1: Any, b1: Any, w2: Any, b2: Any) -> Any:
    """Return (w₂ σ(w₁x + b₁) + b₂ − t)²."""
    h = gn.sigmoid(w1 * X + b1)
    y = w2 * h + b2
    return (y - T) ** 2


def run(output: Path, console: Console) -> dict[str, Any]:
    """Derive the four gradients by hand, then read them off the graph."""
    story = Story("scalar", output, console)
    w1, b1, w2, b2 = PARAMETERS.values()
    a = w1 * X + b1
    h = 1 / (1 + math.exp(-a))
    y = w2 * h + b2
    story.say(
        "The smallest network with a hidden unit: one weight and one bias before the sigmoid σ, "
        "one weight and one bias after it, and the squared error as the loss."
    )
    story.derive(
        ("x", number(X)),
        ("a", "w₁x + b₁", f"{w1} · {X} − {-b1}", number(a)),
        ("h", "σ(a)", number(h)),
        ("y", "w₂h + b₂", f"{w2} · {number(h)} + {b2}", number(y)),
        ("L", "(y − t)²", f"({number(y)} − {T:g})²", number((y - T) ** 2)),
    )
    story.say("Going back, each line uses the one above it; nothing is computed twice:")
    dy = 2 * (y - T)
    dh, slope = dy * w2, h * (1 - h)
    da = dh * slope
    story.derive(
        ("∂L/∂y", "2(y − t)", number(dy)),
        ("∂L/∂b₂", "∂L/∂y · 1", number(dy)),
        ("∂L/∂w₂", "∂L/∂y · h", product(dy, h), number(dy * h)),
        ("∂L/∂h", "∂L/∂y · w₂", product(dy, w2), number(dh)),
        ("∂L/∂a", "∂L/∂h · h(1 − h)", product(dh, slope), number(da)),
        ("∂L/∂b₁", "∂L/∂a · 1", number(da)),
        ("∂L/∂w₁", "∂L/∂a · x", product(da, X), number(da * X)),
    )
    by_hand = {"w1": da * X, "b1": da, "w2": dy * h, "b2": dy}
    graph, gradients = trace()
    story.part("Factor by factor, read off the graph")
    story.say(
        "Each gradient is the product of the local derivatives on the way from the loss back to "
        "the parameter. A factor of 1 is an addition or a subtraction."
    )
    factors = {name: path_factors(graph, name) for name in PARAMETERS}
    products = {name: math.prod(each) for name, each in factors.items()}
    story.derive(
        *(
            (f"∂L/∂{n.translate(SUBSCRIPTS)}", product(*each), number(products[n]))
            for n, each in factors.items()
        )
    )
    story.part("Checked")
    found, names = [gradients[name] for name in PARAMETERS], list(PARAMETERS)
    story.agree("by hand and by the engine", [by_hand[name] for name in names], found)
    story.agree("products of the factors", [products[name] for name in names], found)
    differences = slopes(lambda p: loss_of(*p), list(PARAMETERS.values()))
    story.agree("central differences", differences, found, tolerance=1e-6)
    story.chain_rule(graph)
    story.figure(graph, title="L = (w₂ σ(w₁x + b₁) + b₂ − t)²")
    return {**story.facts, "gradients": gradients}


def trace() -> tuple[gradtrace.Graph, dict[str, float]]:
    """Return the graph of one pass, with the gradient of each parameter."""
    leaves = {name: gn.parameter(value, name=name) for name, value in PARAMETERS.items()}
    with gradtrace.trace(keep="all", derivatives="exact") as graph:
        loss_of(**leaves).backward()
    return graph, {name: float(leaf.grad) for name, leaf in leaves.items()}


def path_factors(graph: gradtrace.Graph, leaf: str) -> list[float]:
    """Return the local derivatives from the loss back to a leaf that is used once."""
    (loss,) = (node for node, seed in graph.nodes(data="seed") if seed is not None)
    path = nx.shortest_path(graph, leaf, loss)
    edges = [next(iter(graph[operand][result].values())) for operand, result in pairwise(path)]
    return [float(edge["local_derivative"].dense()) for edge in reversed(edges)]
