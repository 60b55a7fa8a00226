"""Sums of gradients: over what was broadcast, and over several backward passes."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from gradtrace_torch.live import Gradient

__all__ = ["has_shape", "reduced", "sum_of"]


def has_shape(gradient: Tensor, shape: Any) -> bool:
    """Tell whether `gradient` has this shape."""
    try:
        return bool(gradient.shape == shape)
    except RuntimeError:  # a nested tensor has none
        return False


def reduced(gradient: Tensor, shape: Any) -> Tensor:
    """Return `gradient` summed to `shape`, as autograd itself does with what was broadcast.

    Of a nested tensor the shape is that of all that it holds, joined.
    """
    if gradient.is_nested:
        gradient = gradient.values()
    return gradient if gradient.shape == shape else gradient.sum_to_size(shape)


def sum_of(earlier: Gradient, gradient: Tensor) -> Tensor | None:
    """Return earlier + gradient, None where the elements of the earlier one are gone.

    Autograd adds to `.grad` in place, and the first gradient of a leaf often is its `.grad`:
    then the tensor that is held already holds the sum.
    """
    held, kept = earlier.held, earlier.elements()
    if earlier.lost:
        return None
    if held is None:
        if kept is None or kept.numel() != gradient.numel():
            return None
        return kept.reshape(gradient.shape) + gradient
    if held._version == earlier.held_version:
        return held + gradient
    if held._version == earlier.held_version + 1 and held.data_ptr() != gradient.data_ptr():
        return held
    return None
