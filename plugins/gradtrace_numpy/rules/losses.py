"""What is minimized: a number for each sample, then their mean or sum."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradtrace_numpy.primitive import Primitive
from gradtrace_numpy.rules.activations import log_softmax, softmax
from gradtrace_numpy.rules.making import general

__all__ = ["binary_cross_entropy", "cross_entropy", "mse_loss"]


def _reduced(losses: Any, reduction: str) -> Any:
    if reduction == "none":
        return losses
    return np.mean(losses) if reduction == "mean" else np.sum(losses)


def _spread(u: Any, losses: int, reduction: str) -> Any:
    """Return the upstream gradient of each sample's loss."""
    return u / losses if reduction == "mean" else u


def _loss(
    name: str, each: Callable[..., Any], *slopes: Callable[..., Any], formulas: list[str]
) -> Primitive:
    """Add a loss that compares each element of input and target, by its slopes."""

    def forward(input: Any, target: Any, *, reduction: str = "mean") -> Any:
        return _reduced(each(input, target), reduction)

    def pull(slope: Callable[..., Any]) -> Callable[..., Any]:
        def rule(u: Any, y: Any, x: Any, target: Any, *, reduction: str = "mean") -> Any:
            return _spread(u, np.size(x), reduction) * slope(x, target)

        return rule

    def push(slope: Callable[..., Any]) -> Callable[..., Any]:
        def rule(t: Any, y: Any, x: Any, target: Any, *, reduction: str = "mean") -> Any:
            return _reduced(t * slope(x, target), reduction)

        return rule

    pushes = [push(slope) for slope in slopes]
    return general(name, forward, *map(pull, slopes), pushforwards=pushes, formulas=formulas)


def _entropy(p: Any, target: Any) -> Any:
    if np.any((p < 0) | (p > 1)):
        raise ValueError("input holds probabilities, from 0 to 1; sigmoid makes them of any number")
    with np.errstate(divide="ignore"):
        log_p, log_q = np.log(p), np.log(1 - p)
    return -(target * np.maximum(log_p, -100) + (1 - target) * np.maximum(log_q, -100))


mse_loss = _loss(
    "mse_loss",
    lambda x, target: (x - target) ** 2,
    lambda x, target: 2 * (x - target),
    lambda x, target: 2 * (target - x),
    formulas=["2 * (input - target)", "2 * (target - input)"],
)

binary_cross_entropy = _loss(
    "binary_cross_entropy",
    _entropy,
    lambda p, target: (p - target) / np.maximum(p * (1 - p), 1e-12),
    lambda p, target: np.log(1 - p) - np.log(p),
    formulas=["(input - target) / (input * (1 - input))", "log(1 - input) - log(input)"],
)

# -- cross entropy: classes along axis 1, the only axis of a single sample ------------------------


def _axis(input: Any) -> int:
    return min(1, np.ndim(input) - 1)


def _one_hot(input: Any, target: Any) -> Any:
    classes = np.shape(input)[_axis(input)]
    chosen = np.where(np.expand_dims(target, -1) == np.arange(classes), 1.0, 0.0)
    return np.moveaxis(chosen, -1, _axis(input))


def _cross_entropy(input: Any, target: Any, *, reduction: str = "mean") -> Any:
    classes = np.shape(input)[_axis(input)]
    if np.asarray(target).dtype.kind not in "iu" or np.any((target < 0) | (target >= classes)):
        raise ValueError(f"targets are class numbers, integers from 0 to {classes - 1}")
    log_shares = log_softmax(input, axis=_axis(input))
    chosen = np.where(_one_hot(input, target), log_shares, 0)
    return _reduced(-np.sum(chosen, axis=_axis(input)), reduction)


def _to_logits(u: Any, y: Any, x: Any, target: Any, *, reduction: str = "mean") -> Any:
    axis = _axis(x)
    share = _spread(u, np.size(target), reduction)
    share = share if np.ndim(share) == 0 else np.expand_dims(share, axis)
    return share * (softmax(x, axis=axis) - _one_hot(x, target))


def _from_logits(t: Any, y: Any, x: Any, target: Any, *, reduction: str = "mean") -> Any:
    axis = _axis(x)
    slopes = softmax(x, axis=axis) - _one_hot(x, target)
    return _reduced(np.sum(t * slopes, axis=axis), reduction)


cross_entropy = general("cross_entropy", _cross_entropy, _to_logits, pushforwards=[_from_logits])
