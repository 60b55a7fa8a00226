"""Attention: how gradients reach query, key and value through the softmax."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

import gradtrace
import gradtrace_numpy as gn
from gradtrace.demos.story import Story, matrix, slopes

__all__ = ["by_hand", "numbers", "run"]

QUERIES, KEYS, WIDTH = 2, 3, 2


def numbers() -> dict[str, Any]:
    """Return Q, K, V and the upstream gradient G, the same each time."""
    rng = np.random.default_rng(0)
    shapes = {"Q": (QUERIES, WIDTH), "K": (KEYS, WIDTH), "V": (KEYS, WIDTH), "G": (QUERIES, WIDTH)}
    return {name: rng.normal(size=shape).round(1) for name, shape in shapes.items()}


def by_hand(q: Any, k: Any, v: Any, g: Any) -> dict[str, Any]:
    """Return everything on the way forward and back."""
    root = math.sqrt(WIDTH)
    scores = q @ k.T / root
    powers = np.exp(scores)
    a = powers / powers.sum(axis=1, keepdims=True)
    by_a = g @ v.T
    by_scores = a * (by_a - (by_a * a).sum(axis=1, keepdims=True))
    return {
        "S": scores,
        "A": a,
        "O": a @ v,
        "∂L/∂V": a.T @ g,
        "∂L/∂A": by_a,
        "∂L/∂S": by_scores,
        "∂L/∂Q": by_scores @ k / root,
        "∂L/∂K": by_scores.T @ q / root,
    }


def run(output: Path, console: Console) -> dict[str, Any]:
    """Derive the gradients of query, key and value, and find them on the graph."""
    story = Story("attention", output, console)
    n = numbers()
    hand = by_hand(*n.values())
    story.say(
        f"{QUERIES} queries look at {KEYS} keys; each takes a mean of the values, weighted by how "
        "well the keys fit:"
    )
    story.derive(("S", "QKᵀ / √d"), ("A", "softmax(S), row by row"), ("O", "AV"))
    for names in (("Q", "K", "V"), ("S", "A", "O")):
        story.code(beside({name: {**n, **hand}[name] for name in names}))
    story.part("The way back")
    story.say("With the upstream gradient G = ∂L/∂O, the two matrix products are taken apart:")
    story.derive(("∂L/∂V", "AᵀG"), ("∂L/∂A", "GVᵀ"))
    story.code(beside({"G": n["G"], **{name: hand[name] for name in ("∂L/∂V", "∂L/∂A")}}))
    story.say(
        "The softmax ties the elements of a row together, for they sum to 1. The Jacobian of a "
        "row a is diag(a) − aaᵀ, so each element gets its own gradient less the row's mean:"
    )
    graph, gradients = trace(n)
    story.derive(("∂L/∂S", "A ∘ (∂L/∂A − rowsum(∂L/∂A ∘ A))"))
    jacobian = graph.edges["divide", "softmax", 0]["local_derivative"].dense()
    first = {"diag(a) − aaᵀ, of the first row": jacobian[0, :, 0, :], "∂L/∂S": hand["∂L/∂S"]}
    story.code(beside(first))
    story.say("Each row of ∂L/∂S sums to 0. The scores pass it on to both of their operands:")
    story.derive(("∂L/∂Q", "∂L/∂S · K / √d"), ("∂L/∂K", "∂L/∂Sᵀ · Q / √d"))
    story.code(beside({name: hand[name] for name in ("∂L/∂Q", "∂L/∂K")}))
    story.part("Checked")
    for name, gradient in gradients.items():
        story.agree(f"∂L/∂{name} by the engine", gradient, hand[f"∂L/∂{name}"])
    for node, name in (("softmax", "A"), ("divide", "S")):
        found = graph.nodes[node]["upstream_gradient"].array
        story.agree(f"∂L/∂{name} on the graph", found, hand[f"∂L/∂{name}"])
    a = hand["A"][0]
    story.agree("diag(a) − aaᵀ", jacobian[0, :, 0, :], np.diag(a) - np.outer(a, a))
    loss = lambda q: np.sum(n["G"] * by_hand(q, n["K"], n["V"], n["G"])["O"])  # noqa: E731
    story.agree(
        "∂L/∂Q by central differences", slopes(loss, n["Q"]), gradients["Q"], tolerance=1e-6
    )
    story.chain_rule(graph)
    story.figure(graph, title="O = softmax(QKᵀ / √d) V, seeded with G")
    return {**story.facts, "gradients": {name: each.tolist() for name, each in gradients.items()}}


def trace(n: dict[str, Any]) -> tuple[gradtrace.Graph, dict[str, Any]]:
    """Return the graph of attention, with the gradients of its operands."""
    q, k, v = (gn.array(n[name], name=name) for name in ("Q", "K", "V"))
    with gradtrace.trace(keep="all", derivatives="exact") as graph:
        weights = gn.softmax(q @ k.T / math.sqrt(WIDTH))
        (weights @ v).backward(n["G"])
    return graph, {"Q": q.grad, "K": k.grad, "V": v.grad}


def beside(matrices: dict[str, Any]) -> str:
    """Write matrices next to each other, each below its name.

    >>> print(beside({"a": [[1.0], [2.0]], "b": [[30.0]]}))
    a       b
    [ 1 ]   [ 30 ]
    [ 2 ]
    """
    blocks = [[name, *matrix(array).split("\n")] for name, array in matrices.items()]
    widths = [max(map(len, block)) for block in blocks]
    height = max(map(len, blocks))
    padded = [block + [""] * (height - len(block)) for block in blocks]
    return "\n".join(
        "   ".join(line.ljust(width) for line, width in zip(row, widths, strict=True)).rstrip()
        for row in zip(*padded, strict=True)
    )
