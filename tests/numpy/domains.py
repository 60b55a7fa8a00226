"""Where the operands of elementwise rows may lie: away from poles and kinks."""

from __future__ import annotations

__all__ = ["PAIRS", "UNARY"]

UNARY: dict[str, tuple[float, float]] = {
    **dict.fromkeys(
        """negative positive conjugate exp exp2 expm1 square absolute fabs sin cos arctan sinh cosh
        tanh arcsinh deg2rad rad2deg sign floor ceil trunc rint sigmoid relu leaky_relu erf gelu
        softplus""".split(),
        (-2.0, 2.0),
    ),
    **dict.fromkeys(["log", "log2", "log10", "sqrt", "cbrt", "reciprocal"], (0.3, 3.0)),
    **dict.fromkeys(["arcsin", "arccos", "arctanh"], (-0.8, 0.8)),
    "log1p": (-0.7, 2.0),
    "tan": (-1.0, 1.0),
    "arccosh": (1.2, 3.0),
}

PAIRS: dict[str, tuple[tuple[float, float], tuple[float, float]]] = {
    **dict.fromkeys(
        "add subtract multiply hypot logaddexp logaddexp2 maximum minimum fmax fmin".split(),
        ((-2.0, 1.9), (-1.9, 2.0)),
    ),
    "divide": ((-2.0, 2.0), (0.5, 2.0)),
    "power": ((0.3, 2.0), (-2.0, 2.0)),
    "float_power": ((0.3, 2.0), (-2.0, 2.0)),
    "arctan2": ((-2.0, 2.0), (0.3, 2.0)),
    "floor_divide": ((2.1, 2.9), (0.8, 1.0)),
    "remainder": ((2.1, 2.9), (0.8, 1.0)),
}
