"""Why gradients explode, and what clipping them by their global norm does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

import gradtrace
import gradtrace_numpy as gn
from gradtrace.demos.story import Story, joined
from gradtrace.facts import plain
from gradtrace.render.numbers import number

__all__ = ["run"]

STEPS, FACTOR, MOST = 30, 1.4, 1.0

ANGLE = 0.3
TURN = FACTOR * np.array([[np.cos(ANGLE), -np.sin(ANGLE)], [np.sin(ANGLE), np.cos(ANGLE)]])
"""A rotation that also makes every vector 1.4 times as long."""
BIAS = np.array([0.01, -0.02])
START, TARGET = np.array([0.1, 0.2]), np.array([1.0, -1.0])


def run(output: Path, console: Console) -> dict[str, Any]:
    """Let a gradient explode, clip it, and train with and without."""
    story = Story("exploding", output, console)
    story.say(
        f"The step hₜ = W hₜ₋₁ + b is taken {STEPS} times, with a matrix W that turns its operand "
        f"and makes it {FACTOR} times as long. The gradient takes the way back through Wᵀ, "
        f"which does the same: the gain is {FACTOR} at each step."
    )
    graph, w, b = trace()
    states = [n for n, data in graph.nodes(data=True) if data["op"] == "add"]
    found = [graph.nodes[node]["upstream_gradient"].norm for node in reversed(states)]
    story.table(
        ("steps back", "‖gradient‖", f"times {FACTOR}ᵏ"),
        [(k, found[k], found[0] * FACTOR**k) for k in (0, 1, 2, 5, 10, 20, STEPS - 1)],
    )
    story.part("Clipping by the global norm")
    before = {"W": w.grad.copy(), "b": b.grad.copy()}
    norm = gn.clip_gradients([w, b], MOST)
    story.say(
        "All gradients are taken as one long vector g. If its length is above a limit, every "
        "element is multiplied by limit / ‖g‖; so the direction of the step stays as it was."
    )
    sizes = [float(np.linalg.norm(each)) for each in before.values()]
    story.derive(
        (
            "‖g‖",
            "√(‖∂L/∂W‖² + ‖∂L/∂b‖²)",
            f"√({number(sizes[0])}² + {number(sizes[1])}²)",
            number(norm),
        ),
        ("factor", f"{MOST:g} / {number(norm)}", number(MOST / norm)),
    )
    clipped = joined([w.grad, b.grad])
    story.part("A training run, with and without")
    runs = {"without": train(None), "with clipping": train(MOST)}
    story.table(
        ("update", *(f"loss {name}" for name in runs)),
        [(i, *(losses[i] for losses in runs.values())) for i in (0, 1, 2, 3, 10, 50, 300)],
    )
    story.say(
        "Without clipping, the first update leaps so far that the next gradient is larger still, "
        "until numbers overflow. With it no update moves the parameters by more than the learning "
        "rate times the limit."
    )
    story.part("Checked")
    story.agree(
        f"each step back has a gain of {FACTOR}",
        found,
        [found[0] * FACTOR**k for k in range(STEPS)],
    )
    story.agree(
        "the norm is that of all elements together", norm, np.linalg.norm(joined(before.values()))
    )
    story.agree("after clipping it is the limit", np.linalg.norm(clipped), MOST)
    story.agree("the direction is the same", clipped * norm, joined(before.values()))
    calm = runs["with clipping"][-1] < 0.1 * runs["with clipping"][0]
    story.verdict(calm, "with clipping, the loss falls", f"to {number(runs['with clipping'][-1])}")
    story.chain_rule(graph)
    story.figure(trace(steps=3)[0], title="Three of the steps")
    last = plain({name: losses[-1] for name, losses in runs.items()})
    return {**story.facts, "norm": norm, "losses": last}


def loss_of(w: Any, b: Any, steps: int = STEPS) -> Any:
    """Return ½‖h − target‖² of the last state."""
    h, target = START, TARGET
    for _ in range(steps):
        h = w @ h + b
    return 0.5 * np.sum((h - target) ** 2)


def trace(steps: int = STEPS) -> tuple[gradtrace.Graph, Any, Any]:
    """Return the graph of one pass, with the parameters."""
    w, b = gn.parameter(TURN, name="W"), gn.parameter(BIAS, name="b")
    with gradtrace.trace(keep="all", derivatives="exact") as graph:
        loss_of(w, b, steps).backward()
    return graph, w, b


def train(limit: float | None) -> list[float]:
    """Return the losses of 301 updates; NaN once numbers overflow."""
    w, b = gn.parameter(TURN), gn.parameter(BIAS)
    optimizer, losses = gn.SGD([w, b], lr=0.02), []
    with np.errstate(all="ignore"):
        for _ in range(301):
            loss = loss_of(w, b)
            losses.append(loss.item())
            loss.backward()
            if limit is not None:
                gn.clip_gradients([w, b], limit)
            optimizer.step()
            optimizer.zero_grad()
    return losses
