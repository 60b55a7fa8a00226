"""A framework of numbers that know their gradient, small enough to have a backend in a test."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Number", "listeners"]

listeners: list[Callable[[Number], None]] = []
"""Called with each number that an operation makes."""


class Number:
    """A number, what it was made of, with the derivative for each operand."""

    def __init__(
        self, value: float, op: str | None = None, operands: tuple[tuple[Number, float], ...] = ()
    ) -> None:
        self.value = value
        self.op = op
        self.operands = operands
        self.gradient = 0.0
        self.seed: float | None = None
        self.shares: list[float] = []
        if op is not None:
            for listener in listeners:
                listener(self)

    def __add__(self, other: Number) -> Number:
        return Number(self.value + other.value, "add", ((self, 1.0), (other, 1.0)))

    def __mul__(self, other: Number) -> Number:
        return Number(self.value * other.value, "mul", ((self, other.value), (other, self.value)))

    def backward(self) -> None:
        """Compute the gradient of this number by every number that it was made of."""
        self.gradient = self.seed = 1.0
        for number in reversed(self._in_order([])):
            number.shares = [number.gradient * slope for _, slope in number.operands]
            for (operand, _), share in zip(number.operands, number.shares, strict=True):
                operand.gradient += share

    def _in_order(self, seen: list[Number]) -> list[Number]:
        for operand, _ in self.operands:
            operand._in_order(seen)
        if self not in seen:
            seen.append(self)
        return seen
