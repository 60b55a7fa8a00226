"""The rules that watch a training, a row each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gradtrace.recording import judges
from gradtrace.recording.judges import Verdict
from gradtrace.recording.window import Window

__all__ = ["RULES", "Rule"]


@dataclass(frozen=True)
class Rule:
    """A row of the table."""

    name: str
    severity: str
    patience: int
    """Recorded steps that it must hold on for, and without which it is over."""
    judge: Callable[[Window, dict[str, Any]], Verdict | None]
    """Given what it noted in earlier windows; None where what it needs is not recorded."""
    cause: str
    remedy: str
    early: bool = False
    """Whether it is as sure in the first steps as in any."""


# fmt: off
RULES: tuple[Rule, ...] = (
    Rule("nonfinite", "error", 1, judges.nonfinite,
         "NaN or infinity came up here first.",
         "Trace this step with gradtrace.trace to see which operation made it; a smaller learning "
         "rate, clipped gradients or a wider dtype may prevent it.",
         early=True),
    Rule("nonfinite", "error", 20, judges.nonfinite_though_scaled,
         "The gradient stays NaN or infinite although the scale of the loss is lowered.",
         "Trace this step with gradtrace.trace: the operation that makes it does so at any scale."),
    Rule("vanishing", "warning", 20, judges.vanishing,
         "The gradient is lost between the loss and this scope.",
         "Follow `gain` from the loss down to it; residual connections, normalization, another "
         "initialization or activation keep it up."),
    Rule("exploding", "error", 20, judges.exploding_over_depth,
         "The gradient grows from the loss down to this scope.",
         "Follow `gain` from the loss down to it; normalization or a smaller initialization "
         "holds it."),
    Rule("exploding", "error", 3, judges.exploding_over_time,
         "The gradient of the whole model runs away.",
         "Lower the learning rate, warm it up, or clip the gradient.", early=True),
    Rule("dead", "warning", 20, judges.dead,
         "Nearly everything this module returns is zero, and so is the gradient it passes back.",
         "Look at its bias and at the learning rate; a leaky activation cannot die."),
    Rule("saturated", "warning", 20, judges.saturated,
         "Nearly everything this module returns is at an end of its range, where the slope is 0.",
         "Smaller weights, normalization before it, or a ReLU keep the gradient alive."),
    Rule("no gradient", "warning", 50, judges.no_gradient,
         "This parameter gets no gradient while others do.",
         "Is it used in the forward pass, is something detached on the way to the loss? If it is "
         "meant to rest, set requires_grad=False."),
    Rule("zero gradient", "warning", 20, judges.zero_gradient,
         "Every element of the gradient of this scope is exactly zero while others are not.",
         "Look for a dead activation, a mask or an underflow between it and the loss."),
    Rule("update ratio", "warning", 20, judges.large_update,
         "A step changes these parameters by a large part of themselves; 0.001 is usual.",
         "Lower the learning rate of this scope."),
    Rule("update ratio", "warning", 50, judges.small_update,
         "Steps change these parameters by next to nothing; 0.001 is usual.",
         "Raise the learning rate of this scope, or freeze it if it is meant to rest."),
    Rule("jump", "warning", 1, judges.jump,
         "The gradient is far above anything in the steps before.",
         "Look at the batch of this step; clip the gradient if such batches must stay."),
)
# fmt: on
