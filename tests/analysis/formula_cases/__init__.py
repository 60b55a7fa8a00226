"""A call of PyTorch for each row of the table of formulas."""

from tests.analysis.formula_cases import (
    algebra,
    arrangements,
    elementwise,
    losses,
    networks,
    reductions,
    selections,
)
from tests.analysis.formula_cases.cases import CASES, Case, Matrix

__all__ = [
    "CASES",
    "Case",
    "Matrix",
    "algebra",
    "arrangements",
    "elementwise",
    "losses",
    "networks",
    "reductions",
    "selections",
]
