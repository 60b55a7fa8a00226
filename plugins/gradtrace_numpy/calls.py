"""One application of an operation, with what its pullback needs."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from gradtrace_numpy.arrays import Array
from gradtrace_numpy.broadcasting import undo_broadcast
from gradtrace_numpy.errors import BackwardError, NoDerivativeError, ShapeError

if TYPE_CHECKING:
    from gradtrace_numpy.primitive import Primitive

__all__ = ["Call"]

_serials = itertools.count()


class Call:
    """A call of `primitive`: operands as they were given, and inputs, the ndarrays inside."""

    __slots__ = (
        "arguments",
        "freed",
        "inputs",
        "operands",
        "outputs",
        "primitive",
        "results",
        "serial",
        "several",
    )

    def __init__(
        self,
        primitive: Primitive,
        operands: tuple[Any, ...],
        inputs: tuple[Any, ...],
        arguments: dict[str, Any],
    ) -> None:
        self.primitive = primitive
        self.operands = operands
        self.inputs = inputs
        self.arguments = arguments
        self.outputs: tuple[Any, ...] = ()
        self.results: list[weakref.ref[Array]] = []
        self.several = False
        self.serial = next(_serials)
        self.freed = False

    def give(self, made: Any) -> list[Array]:
        """Return what the call made as arrays that remember it."""
        self.several = isinstance(made, tuple)
        self.outputs = tuple(map(np.asarray, made)) if self.several else (np.asarray(made),)
        depends = any(isinstance(x, Array) and x.differentiable for x in self.operands)
        if depends:
            self._require_real()
        results = [
            Array(data, differentiable=depends and data.dtype.kind == "f", call=self)
            for data in self.outputs
        ]
        self.results = [weakref.ref(result) for result in results]
        return results

    def _require_real(self) -> None:
        """Refuse complex results, for no gradient would come back through them."""
        for data in self.outputs:
            if data.dtype.kind not in "fiub":
                raise NoDerivativeError(
                    f"{self.primitive.name} made {data.dtype} of differentiable arrays, and only "
                    "real numbers have derivatives here; keep real and imaginary parts as two "
                    "arrays, or use x.detach() where no gradient is meant to flow"
                )

    def free(self) -> None:
        """Let go of what was saved for the backward pass."""
        self.operands = self.inputs = self.outputs = ()
        self.freed = True

    # -- the chain rule --------------------------------------------------------------------

    def flows(self) -> Iterator[tuple[int, Array]]:
        """Yield the operands that gradients flow back to, the first operand first."""
        if self.freed:
            raise BackwardError(
                f"a backward pass has already gone through this call of {self.primitive.name}, "
                "and what it had saved is freed; pass keep_graph=True to the first pass, or "
                "compute the forward pass again"
            )
        for position, operand in enumerate(self.operands):
            if isinstance(operand, Array) and operand.differentiable:
                yield position, operand

    def pull(self, position: int, upstream: list[Any], *, traced: bool = False) -> Any:
        """Return the share of the operand at `position` in the gradient of the results.

        Args:
            position: Of the operand among all.
            upstream: The upstream gradient of each result, None where none came back.
            traced: Whether to compute with arrays, so that the share has gradients itself.
        """
        operand = self.inputs[position]
        filled = [
            np.zeros(data.shape, data.dtype) if gradient is None else gradient
            for gradient, data in zip(upstream, self.outputs, strict=True)
        ]
        outputs = self._traced_outputs() if traced else self.outputs
        share = self.primitive.pull(
            position,
            tuple(filled) if self.several else filled[0],
            outputs if self.several else outputs[0],
            self._traced_operands() if traced else self.inputs,
            self.arguments,
        )
        share = share if isinstance(share, Array) else np.asarray(share)
        try:
            fitting = undo_broadcast(share, operand.shape)
        except ValueError as error:
            name = self.primitive.operand(position)
            raise ShapeError(
                f"the pullback of {self.primitive.name} gives a share of shape {share.shape} for "
                f"its operand {name!r}, whose shape is {operand.shape}"
            ) from error
        return fitting if fitting.dtype == operand.dtype else fitting.astype(operand.dtype)

    def push(self, position: int, tangent: Any) -> Any:
        """Return the tangent of the results when only the operand at `position` has one."""
        result: Any = self.outputs if self.several else self.outputs[0]
        pushed = self.primitive.push(position, tangent, result, self.inputs, self.arguments)
        if self.several:
            return tuple(
                np.broadcast_to(part, data.shape)
                for part, data in zip(pushed, self.outputs, strict=True)
            )
        return np.broadcast_to(pushed, result.shape)

    def _traced_operands(self) -> tuple[Any, ...]:
        for operand, data in zip(self.operands, self.inputs, strict=True):
            if isinstance(operand, Array) and operand.data is not data:
                raise NoDerivativeError(
                    f"the elements of {operand.label} were replaced since {self.primitive.name} "
                    "used it; create_graph=True needs them as they were"
                )
        return tuple(
            operand if isinstance(operand, Array) else data
            for operand, data in zip(self.operands, self.inputs, strict=True)
        )

    def _traced_outputs(self) -> tuple[Any, ...]:
        held = [reference() for reference in self.results]
        return tuple(
            data if array is None else array for array, data in zip(held, self.outputs, strict=True)
        )
