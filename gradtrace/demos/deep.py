"""A deep network layer by layer: upstream gradient × local derivative = downstream gradient."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from rich.console import Console

import gradtrace
import gradtrace_numpy as gn
from gradtrace.demos.story import Story, joined, matrix, slopes
from gradtrace.render.numbers import number

__all__ = ["run"]

DEPTH, WIDTH = 4, 3

rng = np.random.default_rng(1)
WEIGHTS = [rng.normal(size=(WIDTH, WIDTH)).round(1) for _ in range(DEPTH)]
INPUT = np.array([1.0, -0.5, 0.25])


class Step(NamedTuple):
    """One edge, as the gradient takes it."""

    result: str
    operand: str
    upstream: npt.NDArray[Any]
    jacobian: npt.NDArray[Any]
    downstream: npt.NDArray[Any]


def loss_of(x: Any, weights: Any) -> Any:
    """Return half the squared length of what comes out of the layers."""
    h = x
    for w in weights:
        h = np.tanh(w @ h)
    return 0.5 * np.sum(h**2)


def run(output: Path, console: Console) -> dict[str, Any]:
    """Follow the gradient through four layers, from the loss to the input."""
    story = Story("deep", output, console)
    story.say(
        f"A network of {DEPTH} layers hₗ = tanh(Wₗ hₗ₋₁), each {WIDTH} wide, with the loss "
        "L = ½‖h‖² at its end. Backpropagation is one rule, applied again and again:"
    )
    story.derive(
        ("∂L/∂operand", "∂L/∂result · ∂result/∂operand"),
    )
    story.say("that is, downstream gradient = upstream gradient × local derivative.")
    graph, gradient = trace()
    steps = path_back(graph)
    story.part("One step in full: from the last tanh to what it was applied to")
    first = next(step for step in steps if step.result.startswith("tanh"))
    story.say("The upstream gradient, a row; the local derivative, 1 − tanh² on its diagonal:")
    story.code(f"{matrix(first.upstream)}   upstream")
    story.code(
        f"{matrix(first.jacobian)}\n\n{matrix(first.downstream)}   downstream, their product"
    )
    story.part("All steps, from a result back to its operand")
    story.table(
        ("result", "operand", "‖upstream‖", "‖local‖", "gain", "‖downstream‖"),
        [
            (
                step.result,
                step.operand,
                norm(step.upstream),
                norm(step.jacobian),
                norm(step.downstream) / norm(step.upstream),
                norm(step.downstream),
            )
            for step in steps
        ],
    )
    product = np.linalg.multi_dot([step.jacobian for step in steps if step.jacobian.ndim == 2])
    story.say(
        f"The gradient is {number(norm(gradient))} long where it arrives. Multiplying all local "
        "derivatives first gives the same, at a higher price: products of matrices instead of "
        "products of a row and a matrix. This is why gradients are taken backwards."
    )
    story.part("Checked")
    pulled = [np.tensordot(step.upstream, step.jacobian, step.upstream.ndim) for step in steps]
    story.agree(
        f"upstream × local = downstream, at each of {len(steps)} steps",
        joined(pulled),
        joined(step.downstream for step in steps),
    )
    top = next(step.upstream for step in steps if step.jacobian.ndim == 2)
    story.agree("the product of all local derivatives", top @ product, gradient)
    by_differences = slopes(lambda x: loss_of(x, WEIGHTS), INPUT)
    story.agree("central differences", by_differences, gradient, tolerance=1e-6)
    story.chain_rule(graph)
    story.figure(graph, title="Four layers, from the input to the loss")
    return {**story.facts, "gradient": gradient.tolist(), "steps": len(steps)}


def trace() -> tuple[gradtrace.Graph, npt.NDArray[Any]]:
    """Return the graph of one pass, with the gradient of the input."""
    x = gn.array(INPUT, name="x")
    weights = [gn.parameter(w, name=f"W{layer}") for layer, w in enumerate(WEIGHTS, 1)]
    with gradtrace.trace(keep="all", derivatives="exact") as graph:
        loss_of(x, weights).backward()
    return graph, x.grad


def path_back(graph: gradtrace.Graph) -> list[Step]:
    """Return the steps from the loss back to the input, without those to weights."""
    steps = [
        Step(
            result,
            operand,
            graph.nodes[result]["upstream_gradient"].array,
            edge["local_derivative"].dense(),
            edge["downstream_gradient"].array,
        )
        for operand, result, edge in graph.edges(data=True)
        if not operand.startswith("W")
    ]
    return sorted(steps, key=lambda step: -graph.nodes[step.result]["order"])


def norm(array: npt.NDArray[Any]) -> float:
    """Return the Euclidean norm of all elements."""
    return float(np.linalg.norm(array))
