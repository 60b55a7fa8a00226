"""Calls for the formulas of losses, with the softmax family."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812

from tests.analysis.formula_cases.cases import (
    CASES,
    CLASSES,
    A,
    Array,
    Case,
    M,
    N,
    P,
    W,
    X,
    Y,
    random,
)
from tests.analysis.formula_cases.networks import softmax

PAIR = {"x": X, "t": Y}
KEPT = {"sum": lambda a: a.sum(-1, keepdims=True)}
LOSS = {"n": 5, "sum": np.sum}
CASES["softmax"] = Case(lambda x: x.softmax(-1), {"x": M}, {**KEPT, "softmax": softmax})
CASES["softmin"] = Case(lambda x: F.softmin(x, -1), {"x": M}, {**KEPT, "softmax": softmax})
CASES["log_softmax"] = Case(
    lambda x: x.log_softmax(-1),
    {"x": M},
    {**KEPT, "logsumexp": lambda x: np.log(np.exp(x).sum(-1, keepdims=True))},
)
CASES["gumbel_softmax"] = Case(
    lambda x: F.gumbel_softmax(x, dim=-1), {"x": M}, {**KEPT, "value": None}
)
CASES["mse_loss"] = Case(F.mse_loss, PAIR, LOSS)
CASES["l1_loss"] = Case(F.l1_loss, PAIR, LOSS)


def _huber(a: Array) -> Array:
    return np.where(np.abs(a) < 1, a * a / 2, np.abs(a) - 0.5)


CASES["smooth_l1_loss"] = Case(
    partial(F.smooth_l1_loss, beta=0.4), PAIR, {**LOSS, "huber": _huber, "beta": 0.4}
)
CASES["huber_loss"] = Case(
    partial(F.huber_loss, delta=0.3), PAIR, {**LOSS, "huber": _huber, "c": 0.3}
)
ONEHOT = {
    "n": 3,
    "sum": np.sum,
    "t": None,
    "onehot": lambda _: np.eye(4)[CLASSES],
    "softmax": softmax,
}
CASES["cross_entropy"] = Case(lambda x: F.cross_entropy(x, torch.tensor(CLASSES)), {"x": M}, ONEHOT)
CASES["nll_loss"] = Case(lambda x: F.nll_loss(x, torch.tensor(CLASSES)), {"x": M}, ONEHOT)
CASES["binary_cross_entropy"] = Case(F.binary_cross_entropy, {"x": P, "t": W}, LOSS)
CASES["binary_cross_entropy_with_logits"] = Case(
    F.binary_cross_entropy_with_logits, {"x": X, "t": W}, LOSS
)
CASES["kl_div"] = Case(lambda x, t: F.kl_div(x, t, reduction="batchmean"), {"x": X, "t": W}, LOSS)
CASES["poisson_nll_loss"] = Case(F.poisson_nll_loss, PAIR, LOSS)
CASES["gaussian_nll_loss"] = Case(F.gaussian_nll_loss, {"x": X, "t": Y, "v": A}, LOSS)
SIGNS = np.array([1.0, -1.0, -1.0, 1.0, -1.0])
CASES["soft_margin_loss"] = Case(
    lambda x: F.soft_margin_loss(x, torch.tensor(SIGNS)), {"x": X}, {**LOSS, "t": SIGNS}
)
CASES["hinge_embedding_loss"] = Case(
    lambda x: F.hinge_embedding_loss(x, torch.tensor(SIGNS)),
    {"x": X},
    {**LOSS, "value": None},
    lambda x, **_: {"k": np.where(SIGNS > 0, 1.0, np.where(x < 1, -1.0, 0.0))},
)
CASES["margin_ranking_loss"] = Case(
    lambda a, b: F.margin_ranking_loss(a, b, torch.tensor(SIGNS), margin=0.5),
    {"a": X, "b": Y},
    {**LOSS, "t": SIGNS, "margin": 0.5, "positive": lambda a: np.maximum(a, 0)},
    lambda a, b, **_: {"k": (0.5 - SIGNS * (a - b) > 0) * 1.0},
)
LENGTH = {
    "norm": lambda a: np.linalg.norm(a, axis=1, keepdims=True),
    "spread": lambda d: d[:, None],
}
CASES["cosine_similarity"] = Case(F.cosine_similarity, {"a": M, "b": N}, {**LENGTH, "value": None})
CASES["pairwise_distance"] = Case(
    F.pairwise_distance,
    {"a": M, "b": N},
    {**LENGTH, "eps": 1e-6, "norm": lambda a: np.linalg.norm(a, axis=1)},
)
CASES["triplet_margin_loss"] = Case(
    F.triplet_margin_loss,
    {"a": M, "b": N, "c": random(3, 4, seed=11)},
    {
        "n": 3,
        "sum": np.sum,
        "margin": 1.0,
        "loose": True,
        "norm": lambda a: np.linalg.norm(a, axis=1),
        "positive": lambda a: np.maximum(a, 0),
        "unit": lambda a: a / np.linalg.norm(a, axis=1, keepdims=True),
    },
    lambda a, b, c, **_: {
        "k": (
            np.linalg.norm(a - b, axis=1, keepdims=True)
            - np.linalg.norm(a - c, axis=1, keepdims=True)
            + 1
            > 0
        )
        * 1.0
    },
)
