"""Calls for the formulas of elementwise operations."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812

from tests.analysis.formula_cases.cases import (
    CASES,
    MASK,
    A,
    B,
    Case,
    M,
    P,
    W,
    X,
    Y,
    function_of,
    one,
    two,
)

one("relu relu6 selu gelu silu mish sigmoid logsigmoid softsign tanhshrink", X)
one("hardsigmoid hardswish", loose=True, domain=np.array([-4.0, -2.0, 0.5, 2.0, 5.0]))
one("leaky_relu", X, alpha=0.01)
one("elu celu", X, alpha=1.0)
one("softplus", X, beta=1.0)
one("hardtanh", X, lower=-1.0, upper=1.0)
one("hardshrink softshrink", X, lambda_=0.5)
CASES["threshold"] = Case(lambda x: F.threshold(x, 0.5, 9.0), {"x": X}, {"c": 0.5, "s": 9.0})
CASES["prelu"] = Case(F.prelu, {"x": X[:, None], "w": np.array([0.3])})
CASES["dropout"] = Case(lambda x: F.dropout(x, 0.5), {"x": X}, lazy=lambda x, y, **_: {"k": y / x})
CASES["glu"] = Case(
    F.glu,
    {"x": M},
    {
        "left": lambda x: x[:, :2],
        "right": lambda x: x[:, 2:],
        "r": M[:, 2:],
        "join": lambda a, b: np.concatenate([a, b], 1),
    },
)


one(
    "abs neg exp exp2 expm1 square sin cos tan sinh cosh tanh asinh atan sinc erf erfc"
    " deg2rad rad2deg special_ndtr special_log_ndtr special_erfcx i0 special_i0e special_i1"
    " special_i1e nan_to_num",
    X,
)
one("log log2 log10 log1p sqrt rsqrt reciprocal special_entr lgamma digamma", A)
one("asin acos atanh erfinv", P - 0.4)
one("logit special_ndtri", P)
one("acosh", A + 1)
for name in ("sign", "floor", "ceil", "round", "trunc"):
    CASES[name] = Case(function_of(name), {"x": X}, {"k": getattr(np, name)(X)})
CASES["frac"] = Case(torch.frac, {"x": X}, {"k": np.trunc(X)})
CASES["polygamma"] = Case(lambda x: torch.polygamma(1, x), {"x": A}, {"n": 1})
CASES["clamp"] = Case(lambda x: x.clamp(-1.0, 1.5), {"x": X}, {"lower": -1.0, "upper": 1.5})
CASES["clamp_min"] = Case(lambda x: x.clamp_min(-1.0), {"x": X}, {"lower": -1.0})
CASES["clamp_max"] = Case(lambda x: x.clamp_max(1.5), {"x": X}, {"upper": 1.5})


two("add sub mul div maximum minimum fmax fmin hypot logaddexp logaddexp2", X, Y)
two("atan2", A, B)
two("xlogy special_xlog1py", A, B)
two("ldexp", X, Y)
CASES["pow"] = Case(torch.pow, {"x": A, "p": Y})
CASES["float_power"] = Case(lambda x: torch.float_power(x, 2.5), {"x": A}, {"p": 2.5})
CASES["rpow"] = Case(lambda x: 2.5**x, {"x": X}, {"c": 2.5})
CASES["rsub"] = Case(lambda x: 2.5 - x, {"x": X}, {"y": 2.5})
CASES["rdiv"] = Case(lambda x: 2.5 / x, {"x": X}, {"y": 2.5})
CASES["fmod"] = Case(torch.fmod, {"x": X, "y": Y}, {"k": np.trunc(X / Y)})
CASES["remainder"] = Case(torch.remainder, {"x": X, "y": Y}, {"k": np.floor(X / Y)})
CASES["copysign"] = Case(torch.copysign, {"x": X, "y": Y}, {"k": np.sign(X) * np.sign(Y)})
CASES["lerp"] = Case(torch.lerp, {"x": X, "y": Y, "w": W})
CASES["addcmul"] = Case(
    lambda x, a, b: torch.addcmul(x, a, b, value=0.7), {"x": X, "a": A, "b": B}, {"c": 0.7}
)
CASES["addcdiv"] = Case(
    lambda x, a, b: torch.addcdiv(x, a, b, value=0.7), {"x": X, "a": A, "b": B}, {"c": 0.7}
)
CASES["where"] = Case(
    lambda x, y: torch.where(torch.tensor(MASK), x, y), {"x": X, "y": Y}, {"m": MASK * 1.0}
)
CASES["masked_fill"] = Case(
    lambda x: x.masked_fill(torch.tensor(MASK), 7.0), {"x": X}, {"m": MASK * 1.0, "c": 7.0}
)
