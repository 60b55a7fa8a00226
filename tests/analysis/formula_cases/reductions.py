"""Calls for the formulas of operations that make one number of many."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from tests.analysis.formula_cases.cases import CASES, Array, Case, M, X, Y

ROW = {
    "spread": lambda d: np.broadcast_to(np.asarray(d)[:, None], (3, 4)) if np.ndim(d) == 1 else d,
    "sum": lambda a: a.sum(1),
    "mean": lambda a: a.mean(1, keepdims=True),
    "n": 4,
    "c": 1,
    "softmax": lambda a: np.exp(a) / np.exp(a).sum(1, keepdims=True),
    "prod": lambda a: a.prod(1),
    "max": lambda a: a.max(1),
    "min": lambda a: a.min(1),
    "norm": lambda a: np.sqrt((a * a).sum(1)),
    "first": lambda d: d[:3],
    "second": lambda d: d[3:],
    "std": lambda a: a.std(1, ddof=1),
    "cumsum": lambda a: np.cumsum(a, 1),
    "cumprod": lambda a: np.cumprod(a, 1),
    "flip": lambda a: a[:, ::-1],
    "after": lambda a: a[:, 1:],
    "before": lambda a: a[:, :-1],
    "pad_front": lambda d: np.pad(d, ((0, 0), (1, 0))),
    "pad_back": lambda d: np.pad(d, ((0, 0), (0, 1))),
}


def _chosen(x: Array, d: Array) -> Array:
    """Add each of `d` up at the element that was the running maximum."""
    found = np.zeros_like(x)
    for i, j in np.ndindex(*x.shape):
        found[i, np.argmax(x[i, : j + 1])] += d[i, j]
    return found


def _row(call: Callable[..., Any], **names: Any) -> Case:
    return Case(call, {"x": M}, {**ROW, **names})


CASES["sum"] = _row(lambda x: x.sum(1))
CASES["nansum"] = _row(lambda x: x.nansum(1), m=1.0)
CASES["mean"] = _row(lambda x: x.mean(1))
CASES["nanmean"] = _row(lambda x: x.nanmean(1))
CASES["prod"] = _row(lambda x: x.prod(1))
CASES["var"] = Case(lambda x: x.var(1), {"x": M}, ROW)
CASES["std"] = Case(lambda x: x.std(1), {"x": M}, ROW)
CASES["var_mean"] = _row(lambda x: torch.var_mean(x, 1), value=None)
CASES["std_mean"] = _row(lambda x: torch.std_mean(x, 1), value=None)
CASES["amax"] = _row(lambda x: x.amax(1))
CASES["amin"] = _row(lambda x: x.amin(1))
CASES["max"] = _row(lambda x: x.max(1)[0], value=None)
CASES["min"] = _row(lambda x: x.min(1)[0], value=None)
CASES["aminmax"] = _row(
    lambda x: torch.aminmax(x, dim=1),
    value=None,
    max=lambda a: a.max(1, keepdims=True),
    min=lambda a: a.min(1, keepdims=True),
)
CASES["median"] = _row(lambda x: x.median(1)[0], value=None)
CASES["mode"] = _row(lambda x: x.mode(1)[0], value=None)
CASES["kthvalue"] = _row(lambda x: x.kthvalue(2, 1)[0], value=None)
CASES["logsumexp"] = _row(lambda x: x.logsumexp(1))
CASES["norm"] = _row(lambda x: torch.linalg.vector_norm(x, dim=1))
CASES["dist"] = Case(torch.dist, {"a": X, "b": Y})
CASES["cumsum"] = _row(lambda x: x.cumsum(1))
CASES["cumprod"] = _row(lambda x: x.cumprod(1))
CASES["logcumsumexp"] = _row(lambda x: x.logcumsumexp(1))
CASES["cummax"] = _row(lambda x: x.cummax(1)[0], value=None, gather_back=lambda d: _chosen(M, d))
CASES["cummin"] = _row(lambda x: x.cummin(1)[0], value=None, gather_back=lambda d: _chosen(-M, d))
CASES["diff"] = _row(lambda x: x.diff(dim=1))
CASES["trapezoid"] = _row(
    lambda x: torch.trapezoid(x, dim=1), spread=lambda d: np.repeat(d[:, None], 3, 1)
)
