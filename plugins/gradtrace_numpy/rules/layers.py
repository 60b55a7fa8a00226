"""The layers of a network that have parameters, one row each as in PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradtrace_numpy.primitive import Primitive
from gradtrace_numpy.rules.making import general
from gradtrace_numpy.rules.selections import GETITEM, SCATTER, SLOT

__all__ = ["batch_norm", "embedding", "layer_norm", "linear"]

# -- linear ---------------------------------------------------------------------------------------


def _linear(input: Any, weight: Any, bias: Any = None) -> Any:
    if np.ndim(weight) != 2:
        raise ValueError("weight has the shape (features out, features in)")
    product = np.matmul(input, np.transpose(weight))
    return product if bias is None else product + bias


def _to_weight(u: Any, y: Any, x: Any, w: Any, b: Any = None) -> Any:
    """Return upstreamᵀ · input, summed over all samples."""
    rows, columns = np.shape(w)
    return np.matmul(np.transpose(np.reshape(u, (-1, rows))), np.reshape(x, (-1, columns)))


linear = general(
    "linear",
    _linear,
    lambda u, y, x, w, b=None: np.matmul(u, w),
    _to_weight,
    lambda u, y, x, w, b: u,
    pushforwards=[
        lambda t, y, x, w, b=None: np.matmul(t, np.transpose(w)),
        lambda t, y, x, w, b=None: np.matmul(x, np.transpose(t)),
        lambda t, y, x, w, b: t,
    ],
)

# -- embedding ------------------------------------------------------------------------------------


def _embedding(input: Any, weight: Any) -> Any:
    return GETITEM(weight, input, key=SLOT)


def _to_vectors(u: Any, y: Any, indices: Any, w: Any) -> Any:
    return SCATTER(u, indices, key=SLOT, shape=np.shape(w))


embedding = general(
    "embedding",
    _embedding,
    None,
    _to_vectors,
    pushforwards=[None, lambda t, y, indices, w: GETITEM(t, indices, key=SLOT)],
)

# -- normalization: x̂ = (x − mean) / √(var + eps), then x̂ · weight + bias -----------------------


def _statistics(x: Any, axes: tuple[int, ...], eps: float) -> tuple[Any, Any]:
    """Return x̂ and √(var + eps)."""
    centred = x - np.mean(x, axis=axes, keepdims=True)
    deviation = np.sqrt(np.mean(centred * centred, axis=axes, keepdims=True) + eps)
    return centred / deviation, deviation


def _through(v: Any, x: Any, axes: tuple[int, ...], eps: float) -> Any:
    """Return ∂x̂/∂x · v, which is symmetric: v without its mean and its part along x̂, scaled."""
    normal, deviation = _statistics(x, axes, eps)
    along = normal * np.mean(normal * v, axis=axes, keepdims=True)
    return (v - np.mean(v, axis=axes, keepdims=True) - along) / deviation


def _normalization(name: str, aligned: Callable[[Any, Any], Any]) -> Primitive:
    """Add a normalization; `aligned(w, x)` gives a parameter the axes to broadcast with x."""

    def forward(
        input: Any, weight: Any = None, bias: Any = None, *, axes: tuple[int, ...], eps: float
    ) -> Any:
        normal, _ = _statistics(input, axes, eps)
        scaled = normal if weight is None else normal * aligned(weight, input)
        return scaled if bias is None else scaled + aligned(bias, input)

    def to_input(u: Any, y: Any, x: Any, w: Any = None, b: Any = None, **how: Any) -> Any:
        return _through(u if w is None else u * aligned(w, x), x, **how)

    def from_input(t: Any, y: Any, x: Any, w: Any = None, b: Any = None, **how: Any) -> Any:
        pushed = _through(t, x, **how)
        return pushed if w is None else pushed * aligned(w, x)

    def to_weight(u: Any, y: Any, x: Any, w: Any, b: Any = None, **how: Any) -> Any:
        return _summed(u * _statistics(x, **how)[0], w, x)

    def from_weight(t: Any, y: Any, x: Any, w: Any, b: Any = None, **how: Any) -> Any:
        return aligned(t, x) * _statistics(x, **how)[0]

    def to_bias(u: Any, y: Any, x: Any, w: Any, b: Any, **how: Any) -> Any:
        return _summed(u, b, x)

    def from_bias(t: Any, y: Any, x: Any, w: Any, b: Any, **how: Any) -> Any:
        return aligned(t, x)

    def _summed(u: Any, parameter: Any, x: Any) -> Any:
        shape = np.shape(aligned(np.empty(np.shape(parameter)), x))
        shape = (1,) * (np.ndim(u) - len(shape)) + shape
        axes = tuple(axis for axis, size in enumerate(shape) if size == 1)
        return np.reshape(np.sum(u, axis=axes), np.shape(parameter))

    return general(
        name,
        forward,
        to_input,
        to_weight,
        to_bias,
        pushforwards=[from_input, from_weight, from_bias],
    )


layer_norm = _normalization("layer_norm", lambda w, x: w)
batch_norm = _normalization(
    "batch_norm", lambda w, x: np.reshape(w, (-1,) + (1,) * (np.ndim(x) - 2))
)
