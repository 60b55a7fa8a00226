"""The common mistakes of backpropagation, each with the error or finding that reveals it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
from rich.console import Console

import gradtrace
import gradtrace_numpy as gn
from gradtrace.demos.story import Story
from gradtrace.errors import GradtraceError

__all__ = ["run"]

FACTORS = (("x", "sigmoid", 0), ("sigmoid", "square", 0))
POINT = np.array([-1.0, 0.5, 2.0])
FEATURES = np.array([[0.0, 1.0], [1.0, 1.0], [2.0, 0.0], [3.0, 1.0]])
TARGETS = np.array([1.0, 2.0, 3.0, 4.0])


@gn.primitive(lambda upstream, y, x: upstream * 2 / (1 + np.exp(-x)))
def squared_sigmoid(x: Any) -> Any:
    """Return σ(x)²; its derivative has the slope of the square, 2σ(x), and forgets that of σ."""
    return 1 / (1 + np.exp(-x)) ** 2


def run(output: Path, console: Console) -> dict[str, Any]:
    """Make each mistake, and show what comes of it."""
    story = Story("mistakes", output, console)
    found = {
        "forgotten intermediate": forgotten_intermediate(story),
        "wrong dimensions": wrong_dimensions(story),
        "broadcasting": broadcasting(story),
        "mixed up": mixed_up(story),
    }
    story.part("Checked")
    for mistake, reveals in found.items():
        story.verdict(bool(reveals), f"{mistake}: revealed")
    story.figure(handed_in()[0], title="A mistake between exp and x")
    return {**story.facts, "found": found}


def forgotten_intermediate(story: Story) -> str:
    """Leave out one factor of the chain rule."""
    story.part("1. A forgotten intermediate")
    story.say(
        "For y = σ(x)² somebody writes dy/dx = 2σ(x). The square is not of x but of σ(x), whose "
        "own slope σ(x)(1 − σ(x)) is missing. Central differences see it:"
    )
    story.code("gn.check_gradient(lambda x: np.sum(squared_sigmoid(x)), x)")
    check = gn.check_gradient(lambda x: np.sum(squared_sigmoid(x)), POINT, raises=False)
    story.verdict(check.ok, str(check))
    x = gn.array(POINT, name="x")
    with gradtrace.trace(keep="all", derivatives="exact") as graph:
        np.sum(np.square(gn.sigmoid(x))).backward()
    story.say("On the graph of y, written as two calls, both factors stand on their edges:")
    edges = (graph.edges[uses]["local_derivative"].array.tolist() for uses in FACTORS)
    story.table(("x", "∂sigmoid/∂x", "∂square/∂sigmoid"), zip(POINT.tolist(), *edges, strict=True))
    story.say("An intermediate can also be lost to a function that asks for a plain ndarray:")
    error = raised(lambda: np.asarray(gn.sigmoid(x)))
    story.code("h = np.asarray(gn.sigmoid(x))")
    story.verdict(False, error)
    return "" if check.ok or not error else str(check)


def wrong_dimensions(story: Story) -> str:
    """Multiply matrices that do not fit."""
    story.part("2. Wrong matrix dimensions")
    story.say("A layer of 2 features and 3 units holds W as (3, 2), but is applied as XW, not XWᵀ:")
    x, w = gn.array(FEATURES, name="x"), gn.parameter(np.ones((3, 2)), name="W")
    story.code("x @ W       # x is (4, 2), W is (3, 2)")
    error = raised(lambda: x @ w)
    story.verdict(False, error)
    story.say("The rule of thumb: a gradient has the shape of what it is the gradient of, always.")
    return error


def broadcasting(story: Story) -> str:
    """Compare a column with a row."""
    story.part("3. Broadcasting that nobody asked for: (N,) against (N, 1)")
    story.say(
        "A linear layer predicts N = 4 numbers p as a column, (4, 1); the targets t are a vector, "
        "(4,). Their difference is no error to NumPy. It is a table of 4 × 4, each prediction "
        "against each target:"
    )
    column = FEATURES @ np.array([[0.5], [0.25]])
    p, t = gn.array(column, name="p"), gn.array(TARGETS, name="t", differentiable=False)
    with gradtrace.trace(keep="all", derivatives="exact") as graph:
        np.mean((p - t) ** 2).backward()
    wrong, p.grad = p.grad, None
    story.graph(graph)
    np.mean((p - t[:, None]) ** 2).backward()
    shape = graph.nodes["subtract"]["value"].shape
    story.say(
        f"The graph shows it: the value of subtract is {shape[0]} × {shape[1]}. The gradient:"
    )
    story.table(
        ("prediction", "target", "gradient as written", "as meant"),
        zip(*(each.ravel().tolist() for each in (column, TARGETS, wrong, p.grad)), strict=True),
    )
    story.say("A loss of the engine does not take it:")
    story.code("gn.mse(p, t)")
    error = raised(lambda: gn.mse(p, t))
    story.verdict(False, error)
    return error if shape == (4, 4) and not np.allclose(wrong, p.grad) else ""


def mixed_up(story: Story) -> str:
    """Take the upstream gradient for the downstream one."""
    story.part("4. Upstream and downstream mixed up")
    story.say(
        "Upstream is what comes to a call from the loss, downstream what the call passes on: "
        "upstream × local derivative. Here the exercise L = Σ exp(x)² was done by hand, and for "
        "exp the upstream gradient was passed on as it came. graph.check() goes from node to node:"
    )
    exercise, graph = handed_in()
    check = exercise.check()
    for each in check.failed:
        story.verdict(False, f"{each.node}: {each.reason}")
    story.say("The engine's own graph of it holds:")
    story.chain_rule(graph)
    return "; ".join(str(each.reason) for each in check.failed)


def handed_in() -> tuple[gradtrace.Graph, gradtrace.Graph]:
    """Return the graph of the exercise as it was handed in, and that of the engine."""
    x = gn.array(POINT, name="x")
    with gradtrace.trace(keep="all", derivatives="exact") as graph:
        np.sum(np.square(np.exp(x))).backward()
    draft = nx.MultiDiGraph(graph)
    upstream = draft.nodes["exp"]["upstream_gradient"]
    draft.edges["x", "exp", 0]["downstream_gradient"] = upstream
    nodes, edges = list(draft.nodes(data=True)), list(draft.edges(keys=True, data=True))
    return gradtrace.Graph.from_records(draft.graph, nodes, edges), graph


def raised(program: Callable[[], Any]) -> str:
    """Return the error that a program ends with."""
    try:
        program()
    except GradtraceError as error:
        return f"{type(error).__name__}: {error}"
    return ""
