"""Operations on each element: the slope of each, beside its formula."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradtrace_numpy.dispatch import functions
from gradtrace_numpy.primitive import DIAGONAL
from gradtrace_numpy.rules.making import constant, elementwise, general

__all__ = ["CAST", "CLIP", "WHERE"]

LN2, LN10 = float(np.log(2.0)), float(np.log(10.0))

# fmt: off
# -- of one operand: np.f, slope, formula ---------------------------------------------------------

elementwise(np.negative,   -1,                                      formulas=["-1"])
elementwise(np.positive,   1,                                       formulas=["1"])
elementwise(np.conjugate,  1,                                       formulas=["1"])
elementwise(np.exp,        lambda y, x: y,                          formulas=["exp(x)"])
elementwise(np.exp2,       lambda y, x: LN2 * y,                    formulas=["log(2) * 2**x"])
elementwise(np.expm1,      lambda y, x: y + 1,                      formulas=["exp(x)"])
elementwise(np.log,        lambda y, x: 1 / x,                      formulas=["1 / x"])
elementwise(np.log2,       lambda y, x: 1 / (LN2 * x),              formulas=["1 / (log(2) * x)"])
elementwise(np.log10,      lambda y, x: 1 / (LN10 * x),             formulas=["1 / (log(10) * x)"])
elementwise(np.log1p,      lambda y, x: 1 / (1 + x),                formulas=["1 / (1 + x)"])
elementwise(np.sqrt,       lambda y, x: 0.5 / y,                    formulas=["1 / (2 * sqrt(x))"])
elementwise(np.cbrt,       lambda y, x: 1 / (3 * y * y),            formulas=["1 / (3 * cbrt(x)**2)"])
elementwise(np.square,     lambda y, x: 2 * x,                      formulas=["2 * x"])
elementwise(np.reciprocal, lambda y, x: -y * y,                     formulas=["-1 / x**2"])
elementwise(np.absolute,   lambda y, x: np.sign(x),                 formulas=["sign(x)"])
elementwise(np.fabs,       lambda y, x: np.sign(x),                 formulas=["sign(x)"])
elementwise(np.sin,        lambda y, x: np.cos(x),                  formulas=["cos(x)"])
elementwise(np.cos,        lambda y, x: -np.sin(x),                 formulas=["-sin(x)"])
elementwise(np.tan,        lambda y, x: 1 + y * y,                  formulas=["1 + tan(x)**2"])
elementwise(np.arcsin,     lambda y, x: 1 / np.sqrt(1 - x * x),     formulas=["1 / sqrt(1 - x**2)"])
elementwise(np.arccos,     lambda y, x: -1 / np.sqrt(1 - x * x),    formulas=["-1 / sqrt(1 - x**2)"])
elementwise(np.arctan,     lambda y, x: 1 / (1 + x * x),            formulas=["1 / (1 + x**2)"])
elementwise(np.sinh,       lambda y, x: np.cosh(x),                 formulas=["cosh(x)"])
elementwise(np.cosh,       lambda y, x: np.sinh(x),                 formulas=["sinh(x)"])
elementwise(np.tanh,       lambda y, x: 1 - y * y,                  formulas=["1 - tanh(x)**2"])
elementwise(np.arcsinh,    lambda y, x: 1 / np.sqrt(x * x + 1),     formulas=["1 / sqrt(x**2 + 1)"])
elementwise(np.arccosh,    lambda y, x: 1 / np.sqrt(x * x - 1),     formulas=["1 / sqrt(x**2 - 1)"])
elementwise(np.arctanh,    lambda y, x: 1 / (1 - x * x),            formulas=["1 / (1 - x**2)"])
elementwise(np.deg2rad,    np.pi / 180,                             formulas=["pi / 180"], replaces=[np.radians])
elementwise(np.rad2deg,    180 / np.pi,                             formulas=["180 / pi"], replaces=[np.degrees])
elementwise(np.sign,       0,                                       formulas=["0"])
elementwise(np.floor,      0,                                       formulas=["0"])
elementwise(np.ceil,       0,                                       formulas=["0"])
elementwise(np.trunc,      0,                                       formulas=["0"], replaces=[np.fix])
elementwise(np.rint,       0,                                       formulas=["0"])

# -- of two operands ------------------------------------------------------------------------------

elementwise(np.add,         1, 1,                                   formulas=["1", "1"])
elementwise(np.subtract,    1, -1,                                  formulas=["1", "-1"])
elementwise(np.multiply,    lambda y, a, b: b, lambda y, a, b: a,   formulas=["x2", "x1"])
elementwise(np.divide,      lambda y, a, b: 1 / b,
                            lambda y, a, b: -y / b,                 formulas=["1 / x2", "-x1 / x2**2"])
elementwise(np.power,       lambda y, a, b: _by_base(a, b),
                            lambda y, a, b: _by_exponent(y, a),     formulas=["x2 * x1**(x2 - 1)", "log(x1) * x1**x2"])
elementwise(np.float_power, lambda y, a, b: _by_base(a, b),
                            lambda y, a, b: _by_exponent(y, a),     formulas=["x2 * x1**(x2 - 1)", "log(x1) * x1**x2"])
elementwise(np.arctan2,     lambda y, a, b: b / (a * a + b * b),
                            lambda y, a, b: -a / (a * a + b * b),   formulas=["x2 / (x1**2 + x2**2)", "-x1 / (x1**2 + x2**2)"])
elementwise(np.hypot,       lambda y, a, b: a / y,
                            lambda y, a, b: b / y,                  formulas=["x1 / sqrt(x1**2 + x2**2)", "x2 / sqrt(x1**2 + x2**2)"])
elementwise(np.logaddexp,   lambda y, a, b: np.exp(a - y),
                            lambda y, a, b: np.exp(b - y),          formulas=["1 / (1 + exp(x2 - x1))", "1 / (1 + exp(x1 - x2))"])
elementwise(np.logaddexp2,  lambda y, a, b: np.exp2(a - y),
                            lambda y, a, b: np.exp2(b - y),         formulas=["1 / (1 + 2**(x2 - x1))", "1 / (1 + 2**(x1 - x2))"])
elementwise(np.remainder,   1, lambda y, a, b: -np.floor(a / b),    formulas=["1", "-floor(x1 / x2)"])
elementwise(np.floor_divide, 0, 0,                                  formulas=["0", "0"])
elementwise(np.maximum,     lambda y, a, b: _first(a > b, a == b),
                            lambda y, a, b: _first(b > a, a == b),  formulas=["Heaviside(x1 - x2, 1/2)", "Heaviside(x2 - x1, 1/2)"])
elementwise(np.minimum,     lambda y, a, b: _first(a < b, a == b),
                            lambda y, a, b: _first(b < a, a == b),  formulas=["Heaviside(x2 - x1, 1/2)", "Heaviside(x1 - x2, 1/2)"])
elementwise(np.fmax,        lambda y, a, b: _first((a > b) | np.isnan(b), a == b),
                            lambda y, a, b: _first((b > a) | np.isnan(a), a == b), formulas=["Heaviside(x1 - x2, 1/2)", "Heaviside(x2 - x1, 1/2)"])
elementwise(np.fmin,        lambda y, a, b: _first((a < b) | np.isnan(b), a == b),
                            lambda y, a, b: _first((b < a) | np.isnan(a), a == b), formulas=["Heaviside(x2 - x1, 1/2)", "Heaviside(x1 - x2, 1/2)"])
# fmt: on


def _by_base(a: Any, b: Any) -> Any:
    """Return b · aᵇ⁻¹, and 0 for b = 0 also where a is 0."""
    return b * a ** np.where(b == 0, 1.0, b - 1)


def _by_exponent(y: Any, a: Any) -> Any:
    """Return aᵇ · log a, and 0 where a is 0."""
    return y * np.log(np.where(a == 0, 1.0, a))


def _first(wins: Any, ties: Any) -> Any:
    """Return 1 where an operand wins, and half where both are equal: they share the gradient."""
    return np.where(ties, 0.5, np.where(wins, 1.0, 0.0))


# -- of three, or with arguments ------------------------------------------------------------------


def _where(condition: Any, x: Any, y: Any) -> Any:
    return np.where(condition, x, y)


def _clip(a: Any, a_min: Any = None, a_max: Any = None) -> Any:
    return np.clip(a, a_min, a_max)


def _inside(a: Any, low: Any, high: Any) -> Any:
    above = True if low is None else a >= low
    below = True if high is None else a <= high
    return np.where(np.logical_and(above, below), 1.0, 0.0)


def _below(a: Any, low: Any, high: Any) -> Any:
    """Return 1 where the result is the lower limit; where limits cross, it is the upper one."""
    lower = True if high is None else low <= high
    return np.where(np.logical_and(a < low, lower), 1.0, 0.0)


def _raised(a: Any, low: Any) -> Any:
    return a if low is None else np.maximum(a, low)


def _cast(x: Any, *, dtype: Any) -> Any:
    return np.asarray(x).astype(dtype)


def _keep(v: Any, y: Any, x: Any, *, dtype: Any) -> Any:
    return v


def _through_x(v: Any, result: Any, condition: Any, x: Any, y: Any) -> Any:
    return np.where(condition, v, 0.0)


def _through_y(v: Any, result: Any, condition: Any, x: Any, y: Any) -> Any:
    return np.where(condition, 0.0, v)


WHERE = general(
    "where",
    _where,
    None,
    _through_x,
    _through_y,
    pushforwards=[None, _through_x, _through_y],
    formulas=[None, "Piecewise((1, condition), (0, True))", "Piecewise((0, condition), (1, True))"],
    structure=DIAGONAL,
)

CLIP = elementwise(
    _clip,
    lambda y, a, low=None, high=None: _inside(a, low, high),
    lambda y, a, low, high=None: _below(a, low, high),
    lambda y, a, low, high: np.where(_raised(a, low) > high, 1.0, 0.0),
    name="clip",
)

CAST = general(
    "astype", _cast, _keep, pushforwards=[_keep], structure=DIAGONAL, replaces=[np.ndarray.astype]
)

# -- without derivative ---------------------------------------------------------------------------

for _function in (
    *(np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal),
    *(np.logical_and, np.logical_or, np.logical_xor, np.logical_not),
    *(np.bitwise_and, np.bitwise_or, np.bitwise_xor, np.invert),
    *(np.isnan, np.isinf, np.isfinite, np.signbit),
    *(np.argmax, np.argmin, np.argsort, np.any, np.all, np.count_nonzero),
    *(np.isclose, np.searchsorted, np.digitize, np.nonzero, np.flatnonzero, np.argwhere),
):
    constant(_function)


def where(condition: Any, *choices: Any) -> Any:
    """Return `np.where` of arrays; with a condition alone, the indices where it holds."""
    return WHERE(condition, *choices) if choices else np.where(condition.data)


def clip(a: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None) -> Any:
    """Return `np.clip`, whose limits have two names each."""
    return CLIP(a, a_min if min is None else min, a_max if max is None else max)


functions[np.where], functions[np.clip] = where, clip
functions[np.copy] = lambda a: np.positive(a)


def _round(a: Any, decimals: int = 0) -> Any:
    scale = 10.0**decimals
    return np.rint(a * scale) / scale if decimals else np.rint(a)


functions[np.round] = functions[np.around] = _round
