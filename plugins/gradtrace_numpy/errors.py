"""What the engine raises when it is used in a way that cannot work.

GradtraceError
├── ShapeError            operands whose shapes do not fit the operation
├── BackwardError         a backward pass that cannot start or go on
├── InPlaceError          a write to an array whose elements may be needed by a gradient
├── LeavesTraceError      an array about to be dropped out of the trace
├── GradientCheckError    a derivative that central differences do not confirm
└── DerivativeError
    └── NoDerivativeError an operation, or an operand of one, without a derivative
"""

from __future__ import annotations

from gradtrace.errors import DerivativeError, GradtraceError

__all__ = [
    "BackwardError",
    "GradientCheckError",
    "InPlaceError",
    "LeavesTraceError",
    "NoDerivativeError",
    "ShapeError",
]


class ShapeError(GradtraceError, ValueError):
    """The shapes of the operands do not fit the operation."""


class BackwardError(GradtraceError, RuntimeError):
    """A backward pass cannot start or go on."""


class InPlaceError(GradtraceError, TypeError):
    """A write to an array whose elements may be needed by a gradient."""


class LeavesTraceError(GradtraceError, RuntimeError):
    """An array is about to be dropped out of the trace."""


class GradientCheckError(GradtraceError, AssertionError):
    """A derivative is not what central differences say."""


class NoDerivativeError(DerivativeError, TypeError):
    """An operation, or an operand of one, has no derivative."""
