"""The local derivative on an edge."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from gradtrace import formulas
from gradtrace.errors import DerivativeError

if TYPE_CHECKING:
    import sympy

__all__ = ["LIMIT", "STRUCTURES", "LocalDerivative"]

Array = npt.NDArray[Any]

STRUCTURES = ("identity", "scaled", "diagonal", "dense", "operator", "zero")

LIMIT = 2**20
"""Elements up to which a Jacobian is recorded, or made by `LocalDerivative.dense()`."""


@dataclass(frozen=True, slots=True)
class LocalDerivative:
    """∂result/∂operand at the recorded point, in its cheapest true structure.

    | structure  | Jacobian, with the result and the operand flattened | `array`              |
    |------------|------------------------------------------------------|----------------------|
    | `identity` | I                                                    | None                 |
    | `scaled`   | c·I                                                  | c, shape ()          |
    | `diagonal` | diag(d)                                              | d, shape of operand  |
    | `dense`    | any                                                  | (*result, *operand)  |
    | `operator` | known only by what it did to the upstream gradient   | None                 |
    | `zero`     | 0                                                    | None                 |

    >>> relu = LocalDerivative("diagonal", (3,), (3,), array=np.array([0.0, 1.0, 1.0]))
    >>> relu.pullback(np.array([5.0, 6.0, 7.0]))
    array([0., 6., 7.])
    >>> relu.dense().shape
    (3, 3)
    """

    structure: str
    result_shape: tuple[int, ...]
    operand_shape: tuple[int, ...]
    array: Array | None = field(default=None, compare=False)
    norm: float | None = None
    """Frobenius norm of the Jacobian."""
    estimated: bool = False
    """Whether `norm` comes from a random probe: E‖vᵀJ‖² = ‖J‖² for v ~ N(0, I)."""
    gain: float | None = None
    """‖downstream‖ / ‖upstream‖; None before a backward pass, or where the upstream is 0."""
    reason: str | None = None
    """Why the derivative is an `operator`, where it was asked to be more."""
    rule: tuple[str, str] | sympy.Expr | str | None = field(default=None, compare=False)
    """Op and operand, for which there may be a formula, or a formula of the backend's own."""

    @property
    def formula(self) -> sympy.Expr | str | None:
        """The derivative in symbols, for usual arguments of the call; None where none is known.

        A SymPy expression in the operands for an elementwise operation; else LaTeX that says what
        the pullback makes of the upstream gradient δ. See `gradtrace.formulas`.

        >>> LocalDerivative("diagonal", (3,), (3,), rule=("square", "input")).formula
        2*x
        """
        return formulas.formula(*self.rule) if isinstance(self.rule, tuple) else self.rule

    @property
    def exact(self) -> bool:
        """Whether the Jacobian itself is known."""
        return self.structure != "operator"

    def dense(self, *, limit: int = LIMIT) -> Array:
        """Return the Jacobian, shape `(*result.shape, *operand.shape)`.

        Raises `DerivativeError` where it was not recorded or has more than `limit` elements.
        """
        self._require_exact("dense()")
        rows, columns = math.prod(self.result_shape), math.prod(self.operand_shape)
        if self.structure == "dense":
            assert self.array is not None
            return self.array
        if rows * columns > limit:
            raise DerivativeError(
                f"the dense Jacobian of shape {self.result_shape} × {self.operand_shape} has "
                f"{rows * columns:,} elements, over the limit of {limit:,}; "
                f"use .array of this {self.structure} derivative, or pass limit={rows * columns}"
            )
        jacobian: Array
        if self.structure == "zero":
            jacobian = np.zeros((rows, columns))
        elif self.structure == "identity":
            jacobian = np.eye(rows)
        elif self.structure == "scaled":
            assert self.array is not None
            jacobian = np.eye(rows) * self.array
        else:
            assert self.array is not None
            jacobian = np.diag(self.array.ravel())
        return jacobian.reshape((*self.result_shape, *self.operand_shape))

    def pullback(self, upstream: npt.ArrayLike) -> Array:
        """Map `upstream`, of the result's shape, to downstream, of the operand's: upstream · J.

        Raises `DerivativeError` where the Jacobian was not recorded.
        """
        self._require_exact("pullback()")
        gradient: Array = np.asarray(upstream)
        if gradient.shape != self.result_shape:
            raise DerivativeError(
                f"pullback() takes the result's shape {self.result_shape}, got {gradient.shape}"
            )
        if self.structure == "zero":
            return np.zeros(self.operand_shape)
        if self.structure == "identity":
            return gradient.reshape(self.operand_shape)
        assert self.array is not None
        if self.structure in ("scaled", "diagonal"):
            factors = self.array if self.array.ndim == 0 else self.array.reshape(self.operand_shape)
            scaled: Array = gradient.reshape(self.operand_shape) * factors
            return scaled
        downstream: Array = np.tensordot(gradient, self.array, axes=gradient.ndim)
        return downstream

    def _require_exact(self, what: str) -> None:
        if self.exact:
            return
        why = self.reason or "it was traced for its gain only"
        raise DerivativeError(
            f"{what} needs the Jacobian of shape {self.result_shape} × {self.operand_shape}, "
            f"which was not recorded: {why}; trace with derivatives='exact' "
            f"(and a larger limit= where the Jacobian has over {LIMIT:,} elements)"
        )

    def __repr__(self) -> str:
        shown = [self.structure, f"{self.result_shape} × {self.operand_shape}"]
        if self.norm is not None:
            shown.append(f"norm{'≈' if self.estimated else '='}{self.norm:.4g}")
        if self.gain is not None:
            shown.append(f"gain={self.gain:.4g}")
        return f"LocalDerivative({', '.join(shown)})"
