"""Where a number lies on an axis, and which numbers are written beside it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from gradtrace.render.numbers import number

__all__ = ["Scale", "compact"]


@dataclass(frozen=True, slots=True)
class Scale:
    """An axis from `low` to `high`, on which numbers lie between 0 and 1.

    >>> scale = Scale.of([0.002, 5.0], log=True)
    >>> scale.low, scale.high, scale.place(1e-3), scale.place(10.0)
    (0.001, 10.0, 0.0, 1.0)
    >>> [label for _, label in scale.ticks(5)]
    ['0.001', '0.01', '0.1', '1', '10']
    """

    low: float
    high: float
    log: bool = False

    @classmethod
    def of(cls, values: Iterable[float], *, log: bool) -> Scale:
        """Return the axis that holds all `values` that it can show."""
        shown = [each for each in values if math.isfinite(each) and (each > 0 or not log)]
        if not shown:
            return cls(0.1, 1.0, log) if log else cls(0.0, 1.0)
        low, high = min(shown), max(shown)
        if log:
            low = 10.0 ** math.floor(math.log10(low) + 1e-9) if low > 1e-300 else low
            high = 10.0 ** min(math.ceil(math.log10(high) - 1e-9), 300)
            return cls(low, high if high > low else low * 10, log=True)
        room = (high - low) * 0.05 or abs(high) * 0.1 or 1.0
        return cls(0.0 if 0 <= low < 0.5 * high else low - room, high + room)

    def place(self, value: float) -> float | None:
        """Return where `value` lies; None where the axis has no place for it."""
        if not math.isfinite(value) or (self.log and value <= 0):
            return None
        if self.log:
            low, high = math.log10(self.low), math.log10(self.high)
            return (math.log10(value) - low) / (high - low)
        return (value - self.low) / (self.high - self.low)

    def ticks(self, count: int) -> list[tuple[float, str]]:
        """Return about `count` places with their labels."""
        if self.log:
            return self._powers(count)
        step = _round((self.high - self.low) / max(count, 1))
        first = math.ceil(self.low / step)
        values = [index * step for index in range(first, math.floor(self.high / step) + 1)]
        return [((v - self.low) / (self.high - self.low), compact(v)) for v in values]

    def _powers(self, count: int) -> list[tuple[float, str]]:
        low, high = round(math.log10(self.low)), round(math.log10(self.high))
        every = max(1, math.ceil((high - low) / max(count - 1, 1)))
        return [
            ((power - low) / max(high - low, 1), _power(power))
            for power in range(low, high + 1, every)
        ]


def compact(value: float) -> str:
    """Write a number on an axis.

    >>> [compact(x) for x in (0.0, 2500.0, 100000.0, 0.25)]
    ['0', '2,500', '100,000', '0.25']
    """
    value = float(f"{value:.6g}")
    return f"{value:,.0f}" if value == int(value) and abs(value) < 1e7 else number(value)


def _power(power: int) -> str:
    return f"{10.0**power:g}" if -4 < power < 4 else f"1e{power}"


def _round(size: float) -> float:
    """Return 1, 2 or 5 times a power of ten, near `size`."""
    base = 10.0 ** math.floor(math.log10(size))
    return next(factor * base for factor in (1, 2, 5, 10) if size <= factor * base * 1.0001)
