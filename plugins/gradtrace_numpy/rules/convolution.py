"""Convolution and pooling in two dimensions: one product of matrices over all windows at once."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradtrace_numpy.arrays import plain
from gradtrace_numpy.rules.joining import fold, windows
from gradtrace_numpy.rules.making import general, linear

__all__ = ["avg_pool2d", "conv2d", "max_pool2d"]

Pair = tuple[int, int]


def _padded(x: Any, padding: Pair) -> Any:
    if padding == (0, 0):
        return x
    (top, left) = padding
    return np.pad(x, ((0, 0), (0, 0), (top, top), (left, left)))


def _unpadded(x: Any, padding: Pair) -> Any:
    height, width = np.shape(x)[-2:]
    (top, left) = padding
    return x if padding == (0, 0) else x[..., top : height - top, left : width - left]


def _require_images(input: Any, stride: Pair) -> None:
    if np.ndim(input) != 4:
        raise ValueError("input is (samples, channels, height, width)")
    if min(stride) < 1:
        raise ValueError(f"stride={stride} is no step; it is 1 or more")


# -- conv2d ---------------------------------------------------------------------------------------
#
# For each group, weights are a matrix (channels out, K) with K = channels in · size of the kernel;
# windows are columns (K, samples · places); the result is their product.


def _columns(
    x: Any, kernel: Pair, *, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Any:
    taken = windows(_padded(x, padding), window=kernel, stride=stride, dilation=dilation)
    n, c, height, width = np.shape(taken)[:4]
    split = np.reshape(taken, (n, groups, c // groups, height, width, *kernel))
    turned = np.transpose(split, (1, 2, 5, 6, 0, 3, 4))
    return np.reshape(turned, (groups, c // groups * math.prod(kernel), n * height * width))


def _uncolumns(
    columns: Any,
    x_shape: tuple[int, ...],
    places: Pair,
    kernel: Pair,
    *,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
) -> Any:
    """Add columns up where they were taken from."""
    n, c, height, width = x_shape
    split = np.reshape(columns, (groups, c // groups, *kernel, n, *places))
    turned = np.transpose(split, (4, 0, 1, 5, 6, 2, 3))
    taken = np.reshape(turned, (n, c, *places, *kernel))
    size = (height + 2 * padding[0], width + 2 * padding[1])
    total = fold(taken, size=size, window=kernel, stride=stride, dilation=dilation)
    return _unpadded(total, padding)


def _rows(u: Any, groups: int) -> Any:
    """Return (samples, channels, height, width) as (groups, channels, samples · places)."""
    channels = np.shape(u)[1]
    return np.reshape(np.transpose(u, (1, 0, 2, 3)), (groups, channels // groups, -1))


def _matrices(weight: Any, groups: int) -> Any:
    return np.reshape(weight, (groups, np.shape(weight)[0] // groups, -1))


def _conv2d(
    input: Any,
    weight: Any,
    bias: Any = None,
    *,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
) -> Any:
    _require_images(input, stride)
    if np.ndim(weight) != 4:
        raise ValueError("weight is (channels out, channels in / groups, height, width)")
    out, inner, *kernel = np.shape(weight)
    if np.shape(input)[1] != inner * groups:
        raise ValueError(
            f"input is (samples, channels, height, width) with {inner * groups} channels here"
        )
    if out % groups:
        raise ValueError(f"{out} channels out do not divide into {groups} groups")
    places = [
        (size + 2 * p - (k - 1) * d - 1) // s + 1
        for size, p, k, d, s in zip(
            np.shape(input)[2:], padding, kernel, dilation, stride, strict=True
        )
    ]
    how: dict[str, Any] = {"stride": stride, "padding": padding, "dilation": dilation}
    columns = _columns(input, (kernel[0], kernel[1]), **how, groups=groups)
    product = np.matmul(_matrices(weight, groups), columns)
    made = np.transpose(np.reshape(product, (out, np.shape(input)[0], *places)), (1, 0, 2, 3))
    return made if bias is None else made + np.reshape(bias, (-1, 1, 1))


def _to_input(u: Any, y: Any, x: Any, w: Any, b: Any = None, **how: Any) -> Any:
    matrices = np.swapaxes(_matrices(w, how["groups"]), -1, -2)
    columns = np.matmul(matrices, _rows(u, how["groups"]))
    return _uncolumns(columns, np.shape(x), np.shape(u)[2:], np.shape(w)[2:], **how)


def _to_kernel(u: Any, y: Any, x: Any, w: Any, b: Any = None, **how: Any) -> Any:
    columns = _columns(x, np.shape(w)[2:], **how)
    product = np.matmul(_rows(u, how["groups"]), np.swapaxes(columns, -1, -2))
    return np.reshape(product, np.shape(w))


conv2d = general(
    "conv2d",
    _conv2d,
    _to_input,
    _to_kernel,
    lambda u, y, x, w, b, **how: np.sum(u, axis=(0, 2, 3)),
    pushforwards=[
        lambda t, y, x, w, b=None, **how: _conv2d(t, w, **how),
        lambda t, y, x, w, b=None, **how: _conv2d(x, t, **how),
        lambda t, y, x, w, b, **how: np.reshape(t, (-1, 1, 1)),
    ],
)

# -- pooling --------------------------------------------------------------------------------------

_ONE = (1, 1)


def _require_pool(input: Any, kernel: Pair, stride: Pair, padding: Pair) -> None:
    _require_images(input, stride)
    if any(2 * most > size for most, size in zip(padding, kernel, strict=True)):
        raise ValueError(f"padding={padding} is at most half of the kernel, {kernel}")


def _largest(x: Any, kernel: Pair, stride: Pair, padding: Pair) -> Any:
    """Return 1 at the largest element of each window, the first where several are."""
    (top, left), low = padding, -np.inf
    sides = ((0, 0), (0, 0), (top, top), (left, left))
    padded = x if padding == (0, 0) else np.pad(x, sides, constant_values=low)
    taken = windows(padded, window=kernel, stride=stride, dilation=_ONE)
    flat = np.reshape(taken, (*taken.shape[:4], -1))
    first = np.argmax(flat, axis=-1)[..., None] == np.arange(math.prod(kernel))
    return np.where(first, 1.0, 0.0).astype(x.dtype).reshape(taken.shape)


def _max_pool2d(input: Any, *, kernel: Pair, stride: Pair, padding: Pair) -> Any:
    _require_pool(input, kernel, stride, padding)
    chosen = _largest(input, kernel, stride, padding)
    taken = windows(_padded(input, padding), window=kernel, stride=stride, dilation=_ONE)
    return np.sum(np.where(chosen, taken, 0), axis=(-2, -1))


def _to_largest(u: Any, y: Any, x: Any, *, kernel: Pair, stride: Pair, padding: Pair) -> Any:
    chosen = _largest(plain(x), kernel, stride, padding)
    size = [n + 2 * p for n, p in zip(np.shape(x)[2:], padding, strict=True)]
    shares = np.expand_dims(u, (-2, -1)) * chosen
    total = fold(shares, size=tuple(size), window=kernel, stride=stride, dilation=_ONE)
    return _unpadded(total, padding)


def _from_largest(t: Any, y: Any, x: Any, *, kernel: Pair, stride: Pair, padding: Pair) -> Any:
    chosen = _largest(plain(x), kernel, stride, padding)
    taken = windows(_padded(t, padding), window=kernel, stride=stride, dilation=_ONE)
    return np.sum(taken * chosen, axis=(-2, -1))


def _avg_pool2d(input: Any, *, kernel: Pair, stride: Pair, padding: Pair) -> Any:
    _require_pool(input, kernel, stride, padding)
    taken = windows(_padded(input, padding), window=kernel, stride=stride, dilation=_ONE)
    return np.mean(taken, axis=(-2, -1))


def _to_averaged(u: Any, y: Any, x: Any, *, kernel: Pair, stride: Pair, padding: Pair) -> Any:
    shares = np.expand_dims(u / math.prod(kernel), (-2, -1))
    shares = np.broadcast_to(shares, (*np.shape(u), *kernel))
    size = [n + 2 * p for n, p in zip(np.shape(x)[2:], padding, strict=True)]
    total = fold(shares, size=tuple(size), window=kernel, stride=stride, dilation=_ONE)
    return _unpadded(total, padding)


max_pool2d = general("max_pool2d", _max_pool2d, _to_largest, pushforwards=[_from_largest])
avg_pool2d = linear("avg_pool2d", _avg_pool2d, _to_averaged)
