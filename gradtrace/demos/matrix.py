"""The matrix chain rule: y = Wx + b with its Jacobians ∂y/∂W, ∂y/∂x and ∂y/∂b."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

import gradtrace
import gradtrace_numpy as gn
from gradtrace.demos.story import Story, matrix, slopes

__all__ = ["run"]

W = np.array([[1.0, -2.0, 0.5], [0.0, 3.0, -1.0]])
X = np.array([2.0, 1.0, -1.0])
B = np.array([0.5, -0.5])
T = np.array([1.0, 2.0])


def loss_of(w: Any, x: Any, b: Any) -> Any:
    """Return ½‖Wx + b − t‖²."""
    y, t = w @ x + b, T
    return 0.5 * np.sum((y - t) ** 2)


def run(output: Path, console: Console) -> dict[str, Any]:
    """Show the three Jacobians as real arrays, then what they do to a gradient."""
    story = Story("matrix", output, console)
    story.say("A linear layer y = Wx + b, with 3 inputs and 2 outputs:")
    y = W @ X + B
    story.code(f"W =\n{matrix(W)}\n\nx = {matrix(X)}   b = {matrix(B)}   y = {matrix(y)}")
    graph, gradients = trace()
    by_w, by_x, by_b = jacobians(graph)
    story.part("Three Jacobians, read off the graph")
    story.say(
        "Each holds the derivative of every output by every element of the operand. For x it is "
        "W itself, for b the identity:"
    )
    story.code(f"∂y/∂x =\n{matrix(by_x)}\n\n∂y/∂b =\n{matrix(by_b)}")
    story.say(
        "For W it has three axes, 2 × (2 × 3): ∂yᵢ/∂Wⱼₖ is xₖ where i = j, else 0. With each row "
        "of W laid behind the one before, it is a matrix of 2 × 6 with xᵀ on its diagonal:"
    )
    story.code(f"∂y/∂W =\n{matrix(by_w.reshape(2, 6))}")
    story.part("What they do to a gradient")
    delta = y - T
    story.say("With L = ½‖y − t‖², the upstream gradient δ = ∂L/∂y = y − t is multiplied by each:")
    story.derive(
        ("δ", matrix(delta)),
        ("∂L/∂x", "δ · ∂y/∂x", "δᵀW", matrix(delta @ W)),
        ("∂L/∂b", "δ · ∂y/∂b", "δ", matrix(delta)),
    )
    story.say(
        "∂L/∂W = δ · ∂y/∂W needs no such large Jacobian. Its zeros leave the outer product δxᵀ:"
    )
    story.code(f"∂L/∂W =\n{matrix(np.outer(delta, X))}")
    story.part("Checked")
    expected = np.einsum("ij,k->ijk", np.eye(2), X)
    story.agree("∂y/∂W is xₖ where i = j, else 0", by_w, expected)
    story.agree("∂y/∂x is W", by_x, W)
    story.agree("∂y/∂b is the identity", by_b, np.eye(2))
    for name, formula in (("W", np.outer(delta, X)), ("x", W.T @ delta), ("b", delta)):
        story.agree(f"∂L/∂{name} by the engine", gradients[name], formula)
    by_differences = slopes(lambda w: loss_of(w, X, B), W)
    story.agree("∂L/∂W by central differences", by_differences, gradients["W"], tolerance=1e-6)
    story.chain_rule(graph)
    story.figure(graph, title="L = ½‖Wx + b − t‖²")
    return {**story.facts, "gradients": {name: g.tolist() for name, g in gradients.items()}}


def trace() -> tuple[gradtrace.Graph, dict[str, Any]]:
    """Return the graph of one pass, with the gradients."""
    leaves = gn.parameter(W, name="W"), gn.array(X, name="x"), gn.parameter(B, name="b")
    with gradtrace.trace(keep="all", derivatives="exact") as graph:
        loss_of(*leaves).backward()
    return graph, {str(leaf.name): leaf.grad for leaf in leaves}


def jacobians(graph: gradtrace.Graph) -> tuple[Any, Any, Any]:
    """Return ∂y/∂W, ∂y/∂x and ∂y/∂b, each the product of the local derivatives on its way."""
    outer = dense(graph, "matmul", "add")
    by_w, by_x = dense(graph, "W", "matmul"), dense(graph, "x", "matmul")
    return np.tensordot(outer, by_w, 1), outer @ by_x, dense(graph, "b", "add")


def dense(graph: gradtrace.Graph, operand: str, result: str) -> Any:
    """Return the Jacobian on the one edge between two nodes."""
    (edge,) = graph[operand][result].values()
    return edge["local_derivative"].dense()
