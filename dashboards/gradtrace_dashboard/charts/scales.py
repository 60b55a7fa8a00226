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
            return cls(*_decades(max(low, 1e-300), min(high, 1e300)), log=True)
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
        values = self._multiples(step)
        if len(values) < 2:
            values = self._multiples(_round(step / 4))
        return [((v - self.low) / (self.high - self.low), compact(v)) for v in values]

    def _multiples(self, step: float) -> list[float]:
        first, last = math.ceil(self.low / step), math.floor(self.high / step)
        return [index * step for index in range(first, last + 1)]

    def _powers(self, count: int) -> list[tuple[float, str]]:
        low, high = math.log10(self.low), math.log10(self.high)
        first, last = math.ceil(low - 1e-9), math.floor(high + 1e-9)
        every = max(1, math.ceil((last - first) / max(count - 1, 1)))
        values = [10.0**power for power in range(first, last + 1, every)]
        if last - first < 2:
            shares = range(first - 1, last + 1)
            steps = (factor * 10.0**power for power in shares for factor in (1, 2, 5))
            values = [v for v in steps if self.low * 0.999 <= v <= self.high * 1.001]
        return [((math.log10(v) - low) / (high - low), _written(v)) for v in values]


def compact(value: float) -> str:
    """Write a number on an axis.

    >>> [compact(x) for x in (0.0, 2500.0, 100000.0, 0.25)]
    ['0', '2,500', '100,000', '0.25']
    """
    value = float(f"{value:.6g}")
    return f"{value:,.0f}" if value == int(value) and abs(value) < 1e7 else number(value)


def _decades(low: float, high: float) -> tuple[float, float]:
    """Return whole powers of ten around two numbers, 1, 2 or 5 of them if these are near."""
    if high / low > 30:
        bottom = 10.0 ** math.floor(math.log10(low) + 1e-6)
        return bottom, 10.0 ** math.ceil(math.log10(high) - 1e-6)
    top = _round(high * 0.9999)
    below = [factor * 10.0 ** math.floor(math.log10(low)) for factor in (1, 2, 5)]
    bottom = max(each for each in below if each <= low * 1.0001)
    return bottom, top if top > bottom else bottom * 10


def _written(value: float) -> str:
    return (
        f"{value:g}"
        if 1e-4 < value < 1e4
        else f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e").replace("e+", "e")
    )


def _round(size: float) -> float:
    """Return 1, 2 or 5 times a power of ten, near `size`."""
    base = 10.0 ** math.floor(math.log10(size))
    return next(factor * base for factor in (1, 2, 5, 10) if size <= factor * base * 1.0001)
