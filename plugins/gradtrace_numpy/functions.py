"""Functions that networks are made of, as PyTorch calls them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradtrace.errors import OptionError, require_choice
from gradtrace_numpy.arrays import Array, plain
from gradtrace_numpy.errors import ShapeError
from gradtrace_numpy.rules import activations, convolution, layers, losses

__all__ = [
    "attention",
    "avg_pool2d",
    "batch_norm",
    "binary_cross_entropy",
    "conv2d",
    "cross_entropy",
    "dropout",
    "embedding",
    "gelu",
    "layer_norm",
    "leaky_relu",
    "linear",
    "log_softmax",
    "lstm_cell",
    "max_pool2d",
    "mse",
    "relu",
    "rnn_cell",
    "sigmoid",
    "softmax",
    "softplus",
    "tanh",
]

tanh: Any = np.tanh

Pair = int | tuple[int, int]


def sigmoid(x: Any) -> Any:
    """Return 1 / (1 + e⁻ˣ)."""
    return activations.sigmoid(x)


def relu(x: Any) -> Any:
    """Return max(x, 0)."""
    return activations.relu(x)


def leaky_relu(x: Any, negative_slope: float = 0.01) -> Any:
    """Return x where it is positive, `negative_slope` · x elsewhere."""
    return activations.leaky_relu(x, negative_slope=negative_slope)


def gelu(x: Any) -> Any:
    """Return x · P(Z < x) for a standard normal Z."""
    return activations.gelu(x)


def softplus(x: Any) -> Any:
    """Return log(1 + eˣ)."""
    return activations.softplus(x)


def softmax(x: Any, axis: int = -1) -> Any:
    """Return eˣ divided by its sum along `axis`."""
    return activations.softmax(x, axis=axis)


def log_softmax(x: Any, axis: int = -1) -> Any:
    """Return the logarithm of `softmax`."""
    return activations.log_softmax(x, axis=axis)


def dropout(
    x: Any, p: float = 0.5, *, training: bool = True, rng: np.random.Generator | None = None
) -> Any:
    """Set elements to 0 with probability `p`, and scale the others by 1 / (1 − p)."""
    if not 0 <= p <= 1:
        raise OptionError(f"p={p!r} is no probability; pass a number from 0 to 1")
    if not training or p == 0:
        return x
    kept = (rng or np.random.default_rng()).random(np.shape(x)) >= p
    mask = kept / (1 - p) if p < 1 else kept * 0.0
    return activations.DROPOUT(x, mask=mask.astype(np.result_type(plain(x))))


def linear(x: Any, weight: Any, bias: Any = None) -> Any:
    """Return x · weightᵀ + bias, for a weight of shape (features out, features in)."""
    return layers.linear(x, weight, bias) if bias is not None else layers.linear(x, weight)


def embedding(indices: Any, weight: Any) -> Any:
    """Return the rows of `weight` with these numbers."""
    return layers.embedding(indices, weight)


def layer_norm(
    x: Any, weight: Any = None, bias: Any = None, *, axis: int = -1, eps: float = 1e-5
) -> Any:
    """Normalize each sample over the axes from `axis` on, then scale and shift it."""
    axes = tuple(range(axis % np.ndim(x), np.ndim(x)))
    return layers.layer_norm(x, weight, bias, axes=axes, eps=eps)


def batch_norm(
    x: Any,
    weight: Any = None,
    bias: Any = None,
    *,
    running_mean: Any = None,
    running_var: Any = None,
    training: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:
    """Normalize each channel (axis 1) over all samples and places, then scale and shift it.

    Running statistics are ndarrays: updated in place in training, used instead of the batch's else.
    """
    if np.ndim(x) < 2:
        raise ShapeError(
            f"batch_norm takes samples with channels on axis 1, not an input of shape {np.shape(x)}"
        )
    axes = tuple(axis for axis in range(np.ndim(x)) if axis != 1)
    if training:
        if running_mean is not None and running_var is not None:
            elements = plain(x)
            count = np.size(x) // np.shape(x)[1]
            spread = np.var(elements, axis=axes) * count / max(count - 1, 1)
            _move(running_mean, np.mean(elements, axis=axes), momentum)
            _move(running_var, spread, momentum)
        return layers.batch_norm(x, weight, bias, axes=axes, eps=eps)
    if running_mean is None or running_var is None:
        raise OptionError(
            "batch_norm(training=False) normalizes with running statistics; pass running_mean= and "
            "running_var=, which training has updated"
        )
    shape = (-1,) + (1,) * (np.ndim(x) - 2)
    scale = 1 / np.sqrt(np.reshape(running_var, shape) + eps)
    normal = (x - np.reshape(running_mean, shape)) * scale
    scaled = normal if weight is None else normal * np.reshape(weight, shape)
    return scaled if bias is None else scaled + np.reshape(bias, shape)


def _move(statistic: Any, found: Any, momentum: float) -> None:
    """Move a running statistic some way to what a batch has, in place."""
    if isinstance(statistic, Array):
        raise OptionError(
            f"running statistics are ndarrays, updated in place; pass np.zeros({statistic.size}), "
            "no Array"
        )
    statistic += momentum * (found - statistic)


def conv2d(
    x: Any,
    weight: Any,
    bias: Any = None,
    *,
    stride: Pair = 1,
    padding: Pair = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> Any:
    """Return the cross-correlation of images with kernels.

    `x` has the shape (samples, channels in, height, width), `weight` (channels out, channels in /
    groups, height, width).
    """
    how = {"stride": _pair(stride), "padding": _pair(padding), "dilation": _pair(dilation)}
    operands = (x, weight) if bias is None else (x, weight, bias)
    return convolution.conv2d(*operands, **how, groups=groups)


def max_pool2d(x: Any, kernel: Pair, *, stride: Pair | None = None, padding: Pair = 0) -> Any:
    """Return the largest element of each window; windows do not overlap unless told by `stride`."""
    window = _pair(kernel)
    step = window if stride is None else _pair(stride)
    return convolution.max_pool2d(x, kernel=window, stride=step, padding=_pair(padding))


def avg_pool2d(x: Any, kernel: Pair, *, stride: Pair | None = None, padding: Pair = 0) -> Any:
    """Return the mean of each window, counting what is padded."""
    window = _pair(kernel)
    step = window if stride is None else _pair(stride)
    return convolution.avg_pool2d(x, kernel=window, stride=step, padding=_pair(padding))


def attention(query: Any, key: Any, value: Any, mask: Any = None) -> Any:
    """Return softmax(query · keyᵀ / √d) · value; where a boolean `mask` is false, no attention.

    A query that sees nothing gets 0. A mask of floats, 0 or −∞ as a rule, is added to the scores.
    """
    scores = query @ np.swapaxes(key, -1, -2) / math.sqrt(np.shape(query)[-1])
    return (softmax(scores) if mask is None else _shares(scores, mask)) @ value


def _shares(scores: Any, mask: Any) -> Any:
    """Return the softmax of the scores that a mask leaves."""
    elements = np.asarray(plain(mask))
    if elements.dtype == bool:
        sees = elements.any(axis=-1, keepdims=True)
        if sees.all():
            return softmax(np.where(mask, scores, -np.inf))
        return np.where(sees, softmax(np.where(mask | ~sees, scores, -np.inf)), 0.0)
    if elements.dtype.kind != "f" or (np.isin(elements, (0, 1)).all() and elements.any()):
        raise OptionError(
            "a mask is boolean, true where attention is allowed, or holds floats that are added to "
            "the scores; this one holds zeros and ones: pass mask == 1"
        )
    return softmax(scores + mask)


def rnn_cell(x: Any, h: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None) -> Any:
    """Return the next state tanh(w_ih · x + b_ih + w_hh · h + b_hh)."""
    return np.tanh(linear(x, w_ih, b_ih) + linear(h, w_hh, b_hh))


def lstm_cell(
    x: Any,
    state: tuple[Any, Any],
    w_ih: Any,
    w_hh: Any,
    b_ih: Any = None,
    b_hh: Any = None,
) -> tuple[Any, Any]:
    """Return the next state (h, c); gates stand in the order input, forget, cell, output."""
    h, c = state
    gates = linear(x, w_ih, b_ih) + linear(h, w_hh, b_hh)
    entering, forgetting, candidate, leaving = np.split(gates, 4, axis=-1)
    c = sigmoid(forgetting) * c + sigmoid(entering) * np.tanh(candidate)
    return sigmoid(leaving) * np.tanh(c), c


def mse(x: Any, target: Any, *, reduction: str = "mean") -> Any:
    """Return the mean squared error of `x` and a `target` of the same shape."""
    _require_comparable("mse", x, target, reduction)
    return losses.mse_loss(x, target, reduction=reduction)


def binary_cross_entropy(x: Any, target: Any, *, reduction: str = "mean") -> Any:
    """Return −t · log x − (1 − t) · log(1 − x), for probabilities x; its mean unless told."""
    _require_comparable("binary_cross_entropy", x, target, reduction)
    return losses.binary_cross_entropy(x, target, reduction=reduction)


def cross_entropy(x: Any, target: Any, *, reduction: str = "mean") -> Any:
    """Return −log softmax(x)[target], its mean over samples unless told.

    `x` has the shape (samples, classes, ...), `target` (samples, ...) with the number of a class.
    """
    _require_reduction(reduction)
    return losses.cross_entropy(x, target, reduction=reduction)


def _pair(value: Pair) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def _require_reduction(reduction: str) -> None:
    require_choice("reduction", reduction, ("mean", "sum", "none"))


def _require_comparable(what: str, x: Any, target: Any, reduction: str) -> None:
    _require_reduction(reduction)
    if np.shape(x) != np.shape(target):
        raise ShapeError(
            f"{what} compares element by element: an input of shape {np.shape(x)} and a target of "
            f"shape {np.shape(target)} would be broadcast, each element compared with others; "
            f"reshape one of them, for example target[:, None] or x[:, 0]"
        )
