"""A call of PyTorch for each row of the table of formulas, with what its names mean there.

The functions are written from the words of the formula, in NumPy; none of them knows of torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812

__all__ = ["CASES", "Case", "Matrix"]

Array = Any


class Matrix(np.ndarray[Any, Any]):
    """An array whose `.T` and `.inv` are those of each matrix in it."""

    @property
    def T(self) -> Any:  # type: ignore[override]  # noqa: N802
        return np.swapaxes(self, -1, -2) if self.ndim > 1 else self

    @property
    def inv(self) -> Any:
        return np.linalg.inv(self).view(Matrix)


@dataclass(frozen=True)
class Case:
    """A call with the operands that the row has symbols for."""

    call: Callable[..., Any]
    operands: Mapping[str, Array]
    names: Mapping[str, Any] = field(default_factory=dict)
    """What else the formula speaks of; a callable given under `lazy` is called with operands."""
    lazy: Callable[..., Mapping[str, Any]] = lambda **_: {}


def random(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed + sum(shape)).normal(size=shape)


X = np.array([-1.7, -0.6, 0.4, 1.3, 2.2])
Y = np.array([0.7, 1.9, -1.1, 0.35, 2.6])
P = np.array([0.2, 0.35, 0.5, 0.62, 0.9])
A = np.array([0.3, 0.8, 1.7, 2.4, 3.6])
B = np.array([0.5, 1.2, 0.9, 2.1, 0.4])
W = np.array([0.15, 0.25, 0.35, 0.45, 0.55])
M = random(3, 4)
N = random(3, 4, seed=5)
POSITIVE = np.abs(M) + 0.3
SQUARE = random(3, 3) + 3 * np.eye(3)
MASK = np.array([True, False, True, True, False])
GRID = np.arange(12).reshape(3, 4) % 3 == 0
VECTOR = random(5)
CLASSES = np.array([1, 0, 3])

CASES: dict[str, Case] = {}


def one(ops: str, domain: Array, **names: Any) -> None:
    for op in ops.split():
        CASES[op] = Case(function_of(op), {"x": domain}, names)


def two(ops: str, x: Array, y: Array) -> None:
    for op in ops.split():
        CASES[op] = Case(function_of(op), {"x": x, "y": y})


def function_of(op: str) -> Callable[..., Any]:
    homes = (F, torch) if hasattr(F, op) else (torch, torch.special)
    for home in homes:
        if hasattr(home, op.removeprefix("special_" if home is torch.special else "")):
            return getattr(home, op.removeprefix("special_" if home is torch.special else ""))
    return lambda x, *others: getattr(x, op)(*others)
