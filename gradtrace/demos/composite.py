"""The chain rule on a composite function: dz/dx = dz/dy · dy/dx."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console

import gradtrace
import gradtrace_numpy as gn
from gradtrace.demos.story import Story, slopes
from gradtrace.render.numbers import number

__all__ = ["run"]

POINT = 2.0


def z_of(x: Any) -> Any:
    """Return (x² + 1)³."""
    y = x**2 + 1
    return y**3


def run(output: Path, console: Console) -> dict[str, Any]:
    """Derive dz/dx of z = (x² + 1)³, and find its factors on the edges of the graph."""
    story = Story("composite", output, console)
    x = POINT
    y = x**2 + 1
    story.say("The function z = (x² + 1)³ is made of two: y = x² + 1, and z = y³.")
    story.derive(("x", number(x)), ("y", "x² + 1", number(y)), ("z", "y³", number(y**3)))
    story.say(
        "A change of x changes y, at the rate dy/dx; the change of y changes z, at the rate dz/dy. "
        "Rates of steps that follow each other multiply:"
    )
    outer, inner = 3 * y**2, 2 * x
    story.derive(
        ("dz/dy", "3y²", f"3 · {number(y)}²", number(outer)),
        ("dy/dx", "2x", f"2 · {number(x)}", number(inner)),
        ("dz/dx", "dz/dy · dy/dx", f"{number(outer)} · {number(inner)}", number(outer * inner)),
    )
    graph, gradient = trace()
    story.part("The same, traced")
    story.say(
        "The tracer puts the local derivative of each call on its edge. The gradient begins at z "
        "as 1, and is multiplied by one factor an edge on its way back to x:"
    )
    rows, product = [], 1.0
    for result, operand, factor in factors(graph):
        product *= factor
        rows.append((result, operand, factor, product))
    story.table(("from", "back to", "local derivative", "gradient so far"), rows)
    story.part("Checked")
    story.agree("the product of the factors is dz/dy · dy/dx", product, outer * inner)
    story.agree("the engine's gradient is 6x(x² + 1)²", gradient, 6 * x * (x**2 + 1) ** 2)
    story.agree("central differences say so too", gradient, slopes(z_of, x), tolerance=1e-6)
    story.chain_rule(graph)
    story.figure(graph, title="z = (x² + 1)³ at x = 2")
    return {**story.facts, "dz/dy": outer, "dy/dx": inner, "dz/dx": gradient}


def trace() -> tuple[gradtrace.Graph, float]:
    """Return the graph of z, with dz/dx."""
    x = gn.array(POINT, name="x")
    with gradtrace.trace(keep="all", derivatives="exact") as graph:
        z_of(x).backward()
    return graph, float(x.grad)


def factors(graph: gradtrace.Graph) -> list[tuple[str, str, float]]:
    """Return the edges from the last node to the first, each with its local derivative."""
    return [
        (result, operand, float(derivative.dense()))
        for operand, result, derivative in reversed(list(graph.edges(data="local_derivative")))
    ]
