"""The functions between the layers of a network."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradtrace_numpy.rules.making import elementwise, general

__all__ = [
    "DROPOUT",
    "erf",
    "gelu",
    "leaky_relu",
    "log_softmax",
    "relu",
    "sigmoid",
    "softmax",
    "softplus",
]

_erf = np.vectorize(math.erf, otypes=[float])


def _sigmoid(input: Any) -> Any:
    e = np.exp(-np.abs(input))  # never overflows
    return np.where(input >= 0, 1 / (1 + e), e / (1 + e))


def _relu(input: Any) -> Any:
    return np.maximum(input, 0)


def _leaky_relu(input: Any, *, negative_slope: float = 0.01) -> Any:
    return np.where(input > 0, input, negative_slope * input)


def _leaky_slope(y: Any, x: Any, *, negative_slope: float = 0.01) -> Any:
    return np.where(x > 0, 1.0, negative_slope)


def _error_function(input: Any) -> Any:
    return np.asarray(_erf(input)).astype(np.result_type(input))


def _gelu(input: Any) -> Any:
    return input * _normal_below(input)


def _gelu_slope(y: Any, x: Any) -> Any:
    return _normal_below(x) + x * np.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def _normal_below(x: Any) -> Any:
    """Return P(Z < x) for a standard normal Z."""
    return (1 + erf(x / math.sqrt(2))) / 2


def _softplus(input: Any) -> Any:
    return np.logaddexp(input, np.zeros((), np.asarray(input).dtype))


def _dropout(input: Any, *, mask: Any) -> Any:
    return input * mask


# fmt: off
sigmoid    = elementwise(_sigmoid,        lambda y, x: y * (1 - y),                name="sigmoid",    formulas=["exp(-input) / (1 + exp(-input))**2"])
relu       = elementwise(_relu,           lambda y, x: np.where(x > 0, 1.0, 0.0),  name="relu",       formulas=["Heaviside(input, 0)"])
leaky_relu = elementwise(_leaky_relu,     _leaky_slope,                            name="leaky_relu", formulas=["Piecewise((1, input > 0), (negative_slope, True))"])
erf        = elementwise(_error_function, lambda y, x: 2 / math.sqrt(math.pi) * np.exp(-x * x), name="erf", formulas=["2 * exp(-input**2) / sqrt(pi)"])
gelu       = elementwise(_gelu,           _gelu_slope,                             name="gelu",       formulas=["(1 + erf(input / sqrt(2))) / 2 + input * exp(-input**2 / 2) / sqrt(2 * pi)"])
softplus   = elementwise(_softplus,       lambda y, x: sigmoid(x),                 name="softplus",   formulas=["1 / (1 + exp(-input))"])
DROPOUT    = elementwise(_dropout,        lambda y, x, *, mask: mask,              name="dropout",    formulas=["mask"])
# fmt: on

# -- softmax: each result depends on every element along the axis ---------------------------------


def _softmax(input: Any, *, axis: int = -1) -> Any:
    e = np.exp(input - np.max(input, axis=axis, keepdims=True))
    return e / np.sum(e, axis=axis, keepdims=True)


def _softmax_slopes(v: Any, y: Any, x: Any, *, axis: int = -1) -> Any:
    """Return (diag(y) − y yᵀ) v, which is symmetric."""
    return y * (v - np.sum(y * v, axis=axis, keepdims=True))


def _log_softmax(input: Any, *, axis: int = -1) -> Any:
    shifted = input - np.max(input, axis=axis, keepdims=True)
    return shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))


def _to_logits(u: Any, y: Any, x: Any, *, axis: int = -1) -> Any:
    return u - np.exp(y) * np.sum(u, axis=axis, keepdims=True)


def _from_logits(t: Any, y: Any, x: Any, *, axis: int = -1) -> Any:
    return t - np.sum(np.exp(y) * t, axis=axis, keepdims=True)


softmax = general("softmax", _softmax, _softmax_slopes, pushforwards=[_softmax_slopes])
log_softmax = general("log_softmax", _log_softmax, _to_logits, pushforwards=[_from_logits])
