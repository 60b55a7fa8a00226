"""Local derivatives in their cheapest true structure, recorded right after the call."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradtrace.derivative import LocalDerivative
from gradtrace_numpy.arrays import NDArray
from gradtrace_numpy.calls import Call
from gradtrace_numpy.errors import NoDerivativeError
from gradtrace_numpy.listening import listen
from gradtrace_numpy.primitive import DIAGONAL, IDENTITY, ZERO

__all__ = ["Differentiator", "result_shape"]


_Shapes = tuple[tuple[int, ...], tuple[int, ...]]
"""Those of the result and of the operand."""


class Differentiator:
    """Finds the local derivatives of calls, as well as `mode` asks."""

    def __init__(self, mode: str, limit: int) -> None:
        self.mode = mode
        self.limit = limit
        self._random = np.random.default_rng(0)

    def differentiate(self, call: Call, position: int) -> LocalDerivative:
        """Return ∂result/∂operand at `position`, several results taken as one, flat and joined."""
        shapes = result_shape(call), call.inputs[position].shape
        if self.mode == "gain":
            return LocalDerivative("operator", *shapes)
        try:
            with np.errstate(all="ignore"), listen(None):
                return self._differentiate(call, position, shapes)
        except NoDerivativeError as error:
            return LocalDerivative("operator", *shapes, reason=str(error))

    def _differentiate(self, call: Call, position: int, shapes: _Shapes) -> LocalDerivative:
        rows, columns = map(math.prod, shapes)
        if self.mode == "norm":
            return self._estimated(call, position, shapes)
        structure = call.primitive.structure
        if rows * columns == 0 or structure == ZERO:
            return LocalDerivative("zero", *shapes, norm=0.0)
        if structure == IDENTITY:
            return LocalDerivative("identity", *shapes, norm=math.sqrt(columns))
        if structure == DIAGONAL and rows == columns:
            ones = np.ones(shapes[0], call.outputs[0].dtype)
            return _diagonal(call.pull(position, [ones]), shapes)
        if rows * columns > self.limit:
            reason = f"it has {rows * columns:,} elements, over the limit of {self.limit:,}"
            return self._estimated(call, position, shapes, reason=reason)
        return _dense(_jacobian(call, position, shapes), shapes)

    def _estimated(
        self, call: Call, position: int, shapes: _Shapes, *, reason: str | None = None
    ) -> LocalDerivative:
        """Return what one random probe tells: E‖vᵀJ‖² = ‖J‖² for v ~ N(0, I)."""
        probe = [
            self._random.standard_normal(data.shape).astype(data.dtype) for data in call.outputs
        ]
        norm = float(np.linalg.norm(call.pull(position, probe).astype(np.float64)))
        return LocalDerivative("operator", *shapes, norm=norm, estimated=True, reason=reason)


def result_shape(call: Call) -> tuple[int, ...]:
    """Return the shape of the result; several differentiable ones are taken as one, flat."""
    shapes = [data.shape for data in call.outputs if data.dtype.kind == "f"]
    return shapes[0] if len(shapes) == 1 else (sum(map(math.prod, shapes)),)


def _jacobian(call: Call, position: int, shapes: _Shapes) -> NDArray:
    """Return the dense Jacobian, row by row or column by column, whichever are fewer."""
    rows, columns = map(math.prod, shapes)
    if columns < rows and call.primitive.can_push(position):
        operand = call.inputs[position]
        tangents = np.eye(columns, dtype=operand.dtype).reshape(columns, *operand.shape)
        pushed = [_joined(call, call.push(position, tangent)) for tangent in tangents]
        return np.stack(pushed, axis=1)
    sizes = [data.size if data.dtype.kind == "f" else 0 for data in call.outputs]
    ends = np.cumsum(sizes).tolist()
    pulled = []
    for row in np.eye(rows):
        parts = np.split(row, ends[:-1])
        upstream = [
            part.reshape(data.shape).astype(data.dtype) if data.dtype.kind == "f" else None
            for part, data in zip(parts, call.outputs, strict=True)
        ]
        pulled.append(call.pull(position, upstream).reshape(-1))
    return np.stack(pulled)


def _joined(call: Call, pushed: Any) -> NDArray:
    parts = pushed if call.several else (pushed,)
    real = [part for part, data in zip(parts, call.outputs, strict=True) if data.dtype.kind == "f"]
    return np.concatenate([np.ravel(part) for part in real])


def _dense(matrix: NDArray, shapes: _Shapes) -> LocalDerivative:
    """Return the derivative with this Jacobian, as a diagonal where it is one."""
    rows, columns = matrix.shape
    if rows == columns:
        diagonal = np.diagonal(matrix)
        if np.count_nonzero(matrix) == np.count_nonzero(diagonal):
            return _diagonal(diagonal.reshape(shapes[1]), shapes)
    norm = float(np.linalg.norm(matrix.astype(np.float64)))
    array = matrix.reshape(*shapes[0], *shapes[1])
    return LocalDerivative("dense", *shapes, array=array, norm=norm)


def _diagonal(diagonal: NDArray, shapes: _Shapes) -> LocalDerivative:
    """Return diag(d) as the identity, or scaled, where all of d is one number."""
    first = diagonal.reshape(-1)[0]
    norm = float(np.linalg.norm(diagonal.astype(np.float64)))
    if first == 0 or not (diagonal == first).all():
        return LocalDerivative("diagonal", *shapes, array=np.array(diagonal), norm=norm)
    if first == 1:
        return LocalDerivative("identity", *shapes, norm=norm)
    return LocalDerivative("scaled", *shapes, array=np.array(first), norm=norm)
