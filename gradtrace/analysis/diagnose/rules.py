"""The table of rules, one row for each thing that goes wrong with gradients."""

from __future__ import annotations

from gradtrace.analysis.diagnose.conflicts import find_conflicts
from gradtrace.analysis.diagnose.findings import Rule
from gradtrace.analysis.diagnose.halves import find_overflow, find_underflow
from gradtrace.analysis.diagnose.losses import find_loss_broadcasts
from gradtrace.analysis.diagnose.missing import find_missing_gradients
from gradtrace.analysis.diagnose.nonfinite import find_nonfinite_gradients, find_nonfinite_values
from gradtrace.analysis.diagnose.rows import find_dominant_rows
from gradtrace.analysis.diagnose.saturation import find_saturated
from gradtrace.analysis.diagnose.slopes import find_exploding, find_vanishing
from gradtrace.analysis.diagnose.units import find_dead_units
from gradtrace.analysis.diagnose.zeros import find_zero_gradients

__all__ = ["RULES"]

RULES: tuple[Rule, ...] = (
    Rule(
        "nonfinite_value",
        "error",
        "where NaN or infinity comes up in the forward pass",
        find_nonfinite_values,
    ),
    Rule(
        "nonfinite_gradient",
        "error",
        "where it comes up in the backward pass",
        find_nonfinite_gradients,
    ),
    Rule("overflow", "error", "half-precision numbers that are too large", find_overflow),
    Rule("underflow", "error", "half-precision gradients that are too small", find_underflow),
    Rule("vanishing", "warning", "gradients that shrink call by call", find_vanishing),
    Rule("exploding", "warning", "gradients that grow call by call", find_exploding),
    Rule("no_gradient", "warning", "parameters without gradient, and why", find_missing_gradients),
    Rule(
        "zero_gradient",
        "warning",
        "gradients of exactly 0, and what makes them so",
        find_zero_gradients,
    ),
    Rule("dead_relu", "warning", "units of a ReLU that are never positive", find_dead_units),
    Rule("saturated", "warning", "sigmoid, tanh and softmax on their flat ends", find_saturated),
    Rule("loss_broadcast", "warning", "a loss of (N,) against (N, 1)", find_loss_broadcasts),
    Rule(
        "dominant_row", "warning", "one row of a batch that outweighs the rest", find_dominant_rows
    ),
    Rule("conflict", "warning", "uses of one value that pull against each other", find_conflicts),
)
