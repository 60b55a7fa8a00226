"""How the two engines spell the operations that both have, and what their graphs call them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812

import gradtrace_numpy as gn

__all__ = ["NUMPY", "OPS", "TORCH"]


def _batch_norm(x: Any, scale: Any, shift: Any) -> Any:
    return F.batch_norm(x, None, None, scale, shift, training=True)


def _layer_norm(x: Any, scale: Any, shift: Any) -> Any:
    return F.layer_norm(x, x.shape[-1:], scale, shift)


# fmt: off
_SPELLINGS = {
    # name                 NumPy                     PyTorch
    "abs":                 (np.abs,                  torch.abs),
    "clip":                (np.clip,                 torch.clip),
    "concatenate":         (np.concatenate,          torch.cat),
    "cos":                 (np.cos,                  torch.cos),
    "cumsum":              (np.cumsum,               torch.cumsum),
    "einsum":              (np.einsum,               torch.einsum),
    "exp":                 (np.exp,                  torch.exp),
    "expm1":               (np.expm1,                torch.expm1),
    "log":                 (np.log,                  torch.log),
    "log1p":               (np.log1p,                torch.log1p),
    "max":                 (np.max,                  torch.amax),
    "maximum":             (np.maximum,              torch.maximum),
    "mean":                (np.mean,                 torch.mean),
    "min":                 (np.min,                  torch.amin),
    "minimum":             (np.minimum,              torch.minimum),
    "outer":               (np.outer,                torch.outer),
    "prod":                (np.prod,                 torch.prod),
    "reshape":             (np.reshape,              torch.reshape),
    "sin":                 (np.sin,                  torch.sin),
    "split":               (np.split,                torch.tensor_split),
    "sqrt":                (np.sqrt,                 torch.sqrt),
    "square":              (np.square,               torch.square),
    "stack":               (np.stack,                torch.stack),
    "sum":                 (np.sum,                  torch.sum),
    "tan":                 (np.tan,                  torch.tan),
    "tanh":                (np.tanh,                 torch.tanh),
    "transpose":           (np.transpose,            torch.permute),
    "where":               (np.where,                torch.where),
    "attention":           (gn.attention,            F.scaled_dot_product_attention),
    "avg_pool2d":          (gn.avg_pool2d,           F.avg_pool2d),
    "batch_norm":          (gn.batch_norm,           _batch_norm),
    "binary_cross_entropy":(gn.binary_cross_entropy, F.binary_cross_entropy),
    "conv2d":              (gn.conv2d,               F.conv2d),
    "cross_entropy":       (gn.cross_entropy,        F.cross_entropy),
    "embedding":           (gn.embedding,            F.embedding),
    "gelu":                (gn.gelu,                 F.gelu),
    "layer_norm":          (gn.layer_norm,           _layer_norm),
    "leaky_relu":          (gn.leaky_relu,           F.leaky_relu),
    "linear":              (gn.linear,               F.linear),
    "log_softmax":         (gn.log_softmax,          F.log_softmax),
    "lstm_cell":           (gn.lstm_cell,            torch.lstm_cell),
    "max_pool2d":          (gn.max_pool2d,           F.max_pool2d),
    "mse":                 (gn.mse,                  F.mse_loss),
    "relu":                (gn.relu,                 F.relu),
    "rnn_cell":            (gn.rnn_cell,             torch.rnn_tanh_cell),
    "sigmoid":             (gn.sigmoid,              torch.sigmoid),
    "softmax":             (gn.softmax,              F.softmax),
    "softplus":            (gn.softplus,             F.softplus),
}

OPS = {
    # in the graph of NumPy    in that of PyTorch
    "absolute":                {"abs"},
    "concatenate":             {"cat"},
    "divide":                  {"div", "rdiv"},
    "greater":                 {"gt"},
    "max":                     {"amax"},
    "min":                     {"amin"},
    "multiply":                {"mul"},
    "negative":                {"neg"},
    "power":                   {"pow", "rpow"},
    "split":                   {"tensor_split"},
    "subtract":                {"sub", "rsub"},
    "transpose":               {"permute"},
}
"""Names of operations that correspond; others are the same in both."""
# fmt: on

NUMPY = SimpleNamespace(**{name: row[0] for name, row in _SPELLINGS.items()})
TORCH = SimpleNamespace(**{name: row[1] for name, row in _SPELLINGS.items()})
