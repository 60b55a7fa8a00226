"""Gradient checking: a right and a wrong derivative told apart by central differences."""

from __future__ import annotations

import inspect
import math
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

import gradtrace
import gradtrace_numpy as gn
from gradtrace.demos.story import Story
from gradtrace.render.numbers import number

__all__ = ["right", "run", "wrong"]

SIZES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-8, 1e-10, 1e-12)


@gn.primitive(lambda u, y, x: u / (1 + np.abs(x)) ** 2, name="softsign")
def right(x: Any) -> Any:
    """Return x / (1 + |x|)."""
    return x / (1 + np.abs(x))


@gn.primitive(lambda u, y, x: u / (1 + np.abs(x)), name="softsign")
def wrong(x: Any) -> Any:
    """Return the same; but its derivative has lost a square."""
    return x / (1 + np.abs(x))


def loss_of(w: Any, x: Any, softsign: Any) -> Any:
    """Return the mean square of softsign(Wx)."""
    return np.mean(softsign(w @ x) ** 2)


def run(output: Path, console: Console) -> dict[str, Any]:
    """Check a right derivative and a planted wrong one, and look at the size of the step."""
    story = Story("checking", output, console)
    story.say(
        "A derivative written by hand can be wrong, and a network may learn with it all the same, "
        "only worse. The definition of a derivative is the judge:"
    )
    story.derive(("f′(x)", "(f(x + h) − f(x − h)) / 2h + error of order h²"))
    story.say(
        "Here is softsign(x) = x / (1 + |x|), once with its derivative, by which the upstream "
        "gradient u is multiplied, and once with a slip:"
    )
    for operation in (right, wrong):
        source = inspect.getsource(operation.forward)
        story.code(source.splitlines()[0])
    rng = np.random.default_rng(0)
    w, x = rng.normal(size=(3, 4)), rng.normal(size=4)
    checks = {
        name: gn.check_gradient(lambda w, x, f=f: loss_of(w, x, f), w, x, raises=False)
        for name, f in (("right", right), ("wrong", wrong))
    }
    story.part("What check_gradient says of a loss that uses them")
    for name, check in checks.items():
        story.verdict(check.ok, name)
        for each in check.operands:
            story.say(str(each))
    story.part("How large the step has to be")
    story.say("f(x) = e^(sin x) at x = 1, whose derivative is known. Errors by the size of h:")
    errors = {h: step_errors(h) for h in SIZES}
    story.table(
        ("h", "(f(x + h) − f(x)) / h", "(f(x + h) − f(x − h)) / 2h"),
        [(h, *each) for h, each in errors.items()],
    )
    story.say(
        "Large steps see the curvature, small ones the rounding of f, about 1e-16 / h. In between, "
        "near the third root of 1e-16, central differences reach ten digits. A difference of "
        "1e-6 or less confirms a derivative; one of a few percent or more is a mistake."
    )
    best = min(errors, key=lambda h: errors[h][1])
    story.part("Checked")
    story.facts["checks"]["the right derivative"] = checks["right"].error
    story.verdict(checks["right"].ok, "the right derivative passes")
    found = not checks["wrong"].ok and not any(each.ok for each in checks["wrong"].operands)
    story.facts["found"] = found
    story.verdict(found, "the wrong one is found, in both operands before it")
    story.verdict(best in {1e-4, 1e-5, 1e-6}, f"the best step is h = {number(best)}")
    graph = trace(w, x)
    story.chain_rule(graph)
    story.say(
        "Mind the last line. The graph of the wrong derivative satisfies the chain rule: each call "
        "passes back what its own derivative says. Whether that derivative is the right one, only "
        "differences of its function tell."
    )
    story.figure(graph, title="The loss with the wrong softsign")
    errors_of = {name: check.error for name, check in checks.items()}
    return {**story.facts, "errors": errors_of, "best": best}


def trace(w: Any, x: Any) -> gradtrace.Graph:
    """Return the graph of the loss with the wrong derivative."""
    leaves = gn.parameter(w, name="w"), gn.array(x, name="x")
    with gradtrace.trace(keep="all", derivatives="exact") as graph:
        loss_of(*leaves, wrong).backward()
    return graph


def step_errors(h: float) -> tuple[float, float]:
    """Return the errors of forward and of central differences of e^(sin x) at 1."""
    behind, here, ahead = (math.exp(math.sin(x)) for x in (1.0 - h, 1.0, 1.0 + h))
    truth = math.cos(1.0) * here
    return abs((ahead - here) / h - truth), abs((ahead - behind) / (2 * h) - truth)
