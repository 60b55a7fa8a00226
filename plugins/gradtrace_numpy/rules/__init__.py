"""The table of derivative rules, a file for each kind of operation."""

from gradtrace_numpy.rules import (
    activations,
    convolution,
    elementwise,
    joining,
    layers,
    losses,
    products,
    reductions,
    selections,
    shapes,
)

__all__ = [
    "activations",
    "convolution",
    "elementwise",
    "joining",
    "layers",
    "losses",
    "products",
    "reductions",
    "selections",
    "shapes",
]
