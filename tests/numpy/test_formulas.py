"""The symbolic local derivatives against the rules, and against SymPy's own differentiation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy

import gradtrace_numpy as gn
from tests.numpy.domains import PAIRS, UNARY
from tests.numpy.draws import spread

ROWS = sorted(name for name, row in gn.table.items() if row.formulas)

DOMAINS: dict[str, tuple[tuple[float, float], ...]] = {
    **{name: (domain,) for name, domain in UNARY.items()},
    **PAIRS,
    "mse_loss": ((-2.0, 2.0), (-2.0, 2.0)),
    "binary_cross_entropy": ((0.1, 0.9), (0.1, 0.9)),
    "dropout": ((-2.0, 2.0),),
}

FUNCTIONS = {
    **{name: getattr(sympy, name) for name in "exp log sin cos tan sinh cosh tanh sqrt".split()},
    "absolute": sympy.Abs, "fabs": sympy.Abs, "arcsin": sympy.asin, "arccos": sympy.acos,
    "arctan": sympy.atan, "arcsinh": sympy.asinh, "arccosh": sympy.acosh, "arctanh": sympy.atanh,
    "cbrt": lambda x: x ** sympy.Rational(1, 3), "square": lambda x: x**2, "exp2": lambda x: 2**x,
    "expm1": lambda x: sympy.exp(x) - 1, "log1p": lambda x: sympy.log(1 + x), "erf": sympy.erf,
    "log2": lambda x: sympy.log(x, 2), "log10": lambda x: sympy.log(x, 10),
    "reciprocal": lambda x: 1 / x, "negative": lambda x: -x, "positive": lambda x: x,
    "sigmoid": lambda x: 1 / (1 + sympy.exp(-x)), "softplus": lambda x: sympy.log(1 + sympy.exp(x)),
    "gelu": lambda x: x * (1 + sympy.erf(x / sympy.sqrt(2))) / 2,
    "deg2rad": lambda x: x * sympy.pi / 180, "rad2deg": lambda x: x * 180 / sympy.pi,
    "add": lambda a, b: a + b, "subtract": lambda a, b: a - b, "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / b, "power": lambda a, b: a**b, "arctan2": sympy.atan2,
    "hypot": lambda a, b: sympy.sqrt(a**2 + b**2),
    "logaddexp": lambda a, b: sympy.log(sympy.exp(a) + sympy.exp(b)),
    "logaddexp2": lambda a, b: sympy.log(2**a + 2**b, 2),
    "mse_loss": lambda x, t: (x - t) ** 2,
    "binary_cross_entropy": lambda p, t: -t * sympy.log(p) - (1 - t) * sympy.log(1 - p),
}  # fmt: skip


def operands_of(name: str) -> list[Any]:
    rng = np.random.default_rng(0)
    if name == "where":
        return [np.array([True, False, True]), spread(rng, (3,)), spread(rng, (3,))]
    return [spread(rng, (3,), *domain) for domain in DOMAINS[name]]


def arguments_of(name: str) -> dict[str, Any]:
    chosen: dict[str, dict[str, Any]] = {
        "leaky_relu": {"negative_slope": 0.1},
        "dropout": {"mask": np.array([0.0, 2.0, 2.0])},
        "mse_loss": {"reduction": "none"},
        "binary_cross_entropy": {"reduction": "none"},
    }
    return chosen.get(name, {})


@pytest.mark.parametrize("name", ROWS)
def test_the_formula_is_what_the_pullback_multiplies_by(name: str) -> None:
    row, operands, arguments = gn.table[name], operands_of(name), arguments_of(name)
    result = row(*(gn.array(x) for x in operands), **arguments)
    assert result.call is not None
    for position, text in enumerate(row.formulas):
        if text is None:
            continue
        slopes = result.call.pull(position, [np.ones(result.shape)])
        for index in range(3):
            named = {**dict(zip(row.operands, operands, strict=True)), **arguments}
            value = row.formula(position).subs(_at(named, index))
            assert float(value) == pytest.approx(float(slopes[index]), rel=1e-12, abs=1e-14)


def _at(named: dict[str, Any], index: int) -> dict[str, Any]:
    """Return the numbers at `index`, and what is the same everywhere."""
    return {
        name: value[index].item() if isinstance(value, np.ndarray) else value
        for name, value in named.items()
        if not isinstance(value, str)
    }


@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) & set(ROWS)))
def test_the_formula_is_the_derivative(name: str) -> None:
    row = gn.table[name]
    symbols = [sympy.Symbol(each, real=True) for each in row.operands]
    function = FUNCTIONS[name](*symbols)
    point = dict(zip(symbols, [float(x[0]) for x in operands_of(name)], strict=True))
    for position, symbol in enumerate(symbols):
        formula = sympy.sympify(row.formulas[position], locals={str(s): s for s in symbols})
        slope = sympy.diff(function, symbol).subs(point)
        assert float(slope) == pytest.approx(float(formula.subs(point)), rel=1e-12, abs=1e-14)


def test_a_wrong_formula_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gn.table["tanh"], "formulas", ("1 + tanh(x)**2",))
    with pytest.raises(AssertionError):
        test_the_formula_is_what_the_pullback_multiplies_by("tanh")
    with pytest.raises(AssertionError):
        test_the_formula_is_the_derivative("tanh")


def test_every_elementwise_operation_has_a_formula() -> None:
    missing = [
        name
        for name, row in gn.table.items()
        if row.structure in ("diagonal", "zero") and not row.formulas
    ]
    assert missing == ["clip", "astype"]
    assert gn.table["matmul"].formula(0) is None
