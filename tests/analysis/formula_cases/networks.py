"""Calls for the formulas of normalization, convolution, pooling and attention."""

# ruff: noqa: N803

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from torch.nn import functional as F  # noqa: N812

from tests.analysis.formula_cases.cases import CASES, Array, Case, M, Matrix, random


def _normalized(call: Callable[..., Any], x: Array, axes: Any, shape: Any, over: Any) -> Case:
    """Normalize over `axes`; weights have `shape` beside x and sum over the axes `over`."""

    def lazy(x: Array, g: Array, **_: Any) -> dict[str, Any]:
        std = np.sqrt(x.var(axes, keepdims=True) + 1e-5)
        z = (x - x.mean(axes, keepdims=True)) / std
        return {"z": z, "std": std}

    names = {
        "mean": lambda a: a.mean(axes, keepdims=True),
        "sum": lambda a: a.sum(over),
        "wide": shape,
    }
    operands = {"x": x, "g": random(x.shape[1]) + 2, "b": random(x.shape[1], seed=3)}
    return Case(call, operands, names, lazy)


IMAGES = random(3, 4, 5)
CASES["layer_norm"] = _normalized(
    lambda x, g, b: F.layer_norm(x, (4,), g, b), M, (1,), (1, 4), (0,)
)
CASES["batch_norm"] = _normalized(
    lambda x, g, b: F.batch_norm(x, None, None, g, b, training=True),
    IMAGES,
    (0, 2),
    (1, 4, 1),
    (0, 2),
)
CASES["instance_norm"] = _normalized(
    lambda x, g, b: F.instance_norm(x, weight=g, bias=b), IMAGES, (2,), (1, 4, 1), (0, 2)
)
CASES["group_norm"] = _normalized(
    lambda x, g, b: F.group_norm(x, 1, g, b), IMAGES, (1, 2), (1, 4, 1), (0, 2)
)


def _rms(x: Array, **_: Any) -> dict[str, Any]:
    rms = np.sqrt((x * x).mean(1, keepdims=True) + 1e-5)
    return {"rms": rms, "z": x / rms}


CASES["rms_norm"] = Case(
    lambda x, g: F.rms_norm(x, (4,), g, 1e-5),
    {"x": M, "g": random(4)},
    {"mean": lambda a: a.mean(1, keepdims=True), "sum": lambda a: a.sum(0)},
    _rms,
)
CASES["normalize"] = Case(
    F.normalize,
    {"x": M},
    {
        "norm": lambda a: np.sqrt((a * a).sum(1, keepdims=True)),
        "sum": lambda a: a.sum(1, keepdims=True),
    },
)
CASES["renorm"] = Case(lambda x: torch.renorm(x, 2, 0, 100.0), {"x": M}, {"k": 1.0})


def _conv(x: Array, w: Array) -> Array:
    """Slide `w` over `x`: y[n, o, s] = Σ x[n, i, s + k] w[o, i, k]."""
    axes = tuple(range(2, x.ndim))
    windows = sliding_window_view(x, w.shape[2:], axis=axes)
    letters = "abc"[: len(axes)], "rst"[: len(axes)]
    return np.einsum(f"ni{letters[0]}{letters[1]},oi{letters[1]}->no{letters[0]}", windows, w)


def _conv_transpose(d: Array, w: Array) -> Array:
    """Write `w` at each place of `d`: x[n, i, s + k] = Σ d[n, o, s] w[o, i, k]."""
    spread = [(0, 0), (0, 0)] + [(k - 1, k - 1) for k in w.shape[2:]]
    turned = np.flip(w, tuple(range(2, w.ndim))).swapaxes(0, 1)
    return _conv(np.pad(d, spread), turned)


def _correlate(x: Array, d: Array) -> Array:
    """Slide `d` over `x`: w[o, i, k] = Σ x[n, i, s + k] d[n, o, s]."""
    return _conv(x.swapaxes(0, 1), d.swapaxes(0, 1)).swapaxes(0, 1)


for dimensions in (1, 2, 3):
    spatial, window = (4,) * dimensions, (2,) * dimensions
    names = {
        "conv": _conv,
        "conv_transpose": _conv_transpose,
        "correlate": _correlate,
        "sum": lambda d: d.sum((0, *range(2, d.ndim))),
        "wide": (1, -1) + (1,) * dimensions,
    }
    x = random(2, 3, *spatial)
    kernels = {"conv": random(2, 3, *window), "conv_transpose": random(3, 2, *window)}
    for kind, kernel in kernels.items():
        op = f"{kind}{dimensions}d"
        CASES[op] = Case(getattr(F, op), {"x": x, "W": kernel, "b": random(2)}, names)

    def _pooled(d: Array, dimensions: int = dimensions) -> Array:
        for axis in range(2, 2 + dimensions):
            d = np.repeat(d, 2, axis)
        return d

    def _blocks(x: Array, dimensions: int = dimensions) -> Array:
        """Return the windows of size 2 along a last axis."""
        shape = [*x.shape[:2]] + [each for size in x.shape[2:] for each in (size // 2, 2)]
        order = [0, 1, *range(2, 2 + 2 * dimensions, 2), *range(3, 3 + 2 * dimensions, 2)]
        blocks = x.reshape(shape).transpose(order)
        return blocks.reshape(*blocks.shape[: 2 + dimensions], -1)

    average = {
        "mean_of_windows": lambda x, _b=_blocks: _b(x).mean(-1),
        "spread": _pooled,
        "n": 2**dimensions,
    }
    largest = {
        "max_of_windows": lambda x, _b=_blocks: _b(x).max(-1),
        "put_back": lambda d, x=x, _p=_pooled, _b=_blocks: _p(d) * (x == _p(_b(x).max(-1))),
    }
    for kind, names in {"avg": average, "max": largest}.items():
        for op, size in {
            f"{kind}_pool{dimensions}d": 2,
            f"adaptive_{kind}_pool{dimensions}d": 2,
        }.items():
            call = getattr(F, op)
            CASES[op] = Case(lambda x, call=call, size=size: call(x, size), {"x": x}, names)
del CASES["adaptive_max_pool3d"]
CASES["lp_pool1d"] = Case(
    lambda x: F.lp_pool1d(x, 2.0, 2),
    {"x": random(2, 3, 4)},
    {
        "sum_of_windows": lambda x: x.reshape(2, 3, 2, 2).sum(-1),
        "spread": lambda d: np.repeat(d, 2, 2),
    },
)
CASES["upsample"] = Case(
    lambda x: F.interpolate(x, scale_factor=2),
    {"x": random(2, 3, 4)},
    {"spread": lambda x: np.repeat(x, 2, 2), "sum": lambda d: d.reshape(2, 3, 4, 2).sum(-1)},
)


def softmax(a: Array) -> Array:
    return np.exp(a) / np.exp(a).sum(-1, keepdims=True)


CASES["scaled_dot_product_attention"] = Case(
    F.scaled_dot_product_attention,
    {"Q": random(1, 3, 4), "K": random(1, 5, 4), "V": random(1, 5, 2)},
    {"s": 0.5, "softmax": softmax, "sum": lambda a: a.sum(-1, keepdims=True)},
    lambda Q, K, **_: {"P": softmax(0.5 * Q @ K.T).view(Matrix)},
)
