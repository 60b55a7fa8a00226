"""Ask autograd where the gradient of a tensor arrives, which not every tensor can answer."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.autograd.graph import get_gradient_edge

__all__ = ["GATHERS", "edge_of", "node_of"]

GATHERS = "torch::autograd::AccumulateGrad"
"""The name of the node at which the gradient of a leaf gathers."""


def node_of(tensor: Tensor) -> Any:
    """Return the autograd node that made a tensor, None for a leaf.

    A view that was made in no_grad() and written to raises where its `grad_fn` is read.
    """
    try:
        return tensor.grad_fn
    except RuntimeError:
        return None


def edge_of(tensor: Tensor) -> tuple[Any, int] | None:
    """Return where the gradient of a tensor arrives, None where none does.

    A view that was made in no_grad() says of itself that it asks for a gradient where its base
    does, but has no edge that one could arrive at.
    """
    node = node_of(tensor)
    if node is not None:
        return node, tensor.output_nr
    if not tensor.requires_grad:
        return None
    try:
        found = get_gradient_edge(tensor)
    except (AssertionError, RuntimeError):
        return None
    return found.node, found.output_nr
