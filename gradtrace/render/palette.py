"""The colours of figures, safe for colour-blind readers.

Roles take the colours of Okabe and Ito; magnitudes take those of cividis, from its yellow end
(small) to its dark blue end (large), without the palest part, which white paper would swallow.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from gradtrace.render.numbers import number
from gradtrace.render.parts import Look, Scale

__all__ = ["ALARM", "FAINT", "LOOKS", "Magnitudes"]

FAINT = "#B8BEC7"
"""Arrows without gradient."""

ALARM = "#D55E00"
"""Numbers and arrows that are not finite."""

LOOKS = {
    look.role: look
    for look in (
        Look("input", "rectangle", "#3C9BD0", "#EAF5FC", "input"),
        Look("parameter", "rectangle", "#009E73", "#E8F6F1", "parameter"),
        Look("buffer", "rectangle", "#C06C9A", "#FBF0F6", "buffer"),
        Look("constant", "rectangle", "#9299A3", "#F5F6F7", "constant"),
        Look("call", "rounded", "#5B6675", "#FFFFFF", "call"),
        Look("item", "rounded", "#B0B7C1", "#FFFFFF", "part of a result"),
        Look("fold", "rounded", "#0072B2", "#E6F0F8", "folded calls"),
        Look("output", "double", "#D55E00", "#FDF1E8", "output (loss)"),
        Look("elided", "dashed", "#B0B7C1", "#FFFFFF", "not drawn"),
    )
}
"""The look of each role, in the order in which a legend lists them."""

CIVIDIS = ("#D0BA4C", "#A59C74", "#7D7C78", "#575D6D", "#2B446E", "#00224E")
WIDTHS = (0.8, 3.6)
TICKS = 5


@dataclass(frozen=True, slots=True)
class Magnitudes:
    """A log scale of gradient magnitudes, between two powers of ten.

    >>> scale = Magnitudes.of([0.02, 3.0])
    >>> scale.low, scale.high
    (-2, 1)
    >>> scale.colour(10.0), scale.width(10.0)
    ('#00224E', 3.6)
    """

    low: int
    high: int

    @classmethod
    def of(cls, values: Iterable[float]) -> Magnitudes | None:
        """Return the scale that holds all positive finite `values`, or None without any."""
        logs = [math.log10(value) for value in values if 0 < value < math.inf]
        if not logs:
            return None
        low, high = math.floor(min(logs)), min(308, math.ceil(max(logs)))
        return cls(low, high) if low < high else cls(low - 1, high)

    def position(self, value: float) -> float:
        """Return where `value` lies on the scale, from 0 to 1."""
        place = (math.log10(value) - self.low) / (self.high - self.low)
        return min(1.0, max(0.0, place))

    def colour(self, value: float) -> str:
        """Return the colour of an arrow with a gradient of this magnitude."""
        place = self.position(value) * (len(CIVIDIS) - 1)
        index = min(int(place), len(CIVIDIS) - 2)
        return _mix(CIVIDIS[index], CIVIDIS[index + 1], place - index)

    def width(self, value: float) -> float:
        """Return the width, in points, of an arrow with a gradient of this magnitude."""
        thin, thick = WIDTHS
        return round(thin + (thick - thin) * self.position(value), 2)

    def samples(self) -> list[Scale]:
        """Return samples at powers of ten, at most `TICKS` of them, smallest first."""
        step = max(1, math.ceil((self.high - self.low) / (TICKS - 1)))
        powers = sorted(range(self.high, self.low - 1, -step))
        return [
            Scale(number(_power(p)), self.colour(_power(p)), self.width(_power(p))) for p in powers
        ]


def _power(exponent: int) -> float:
    """Return the power of ten that its literal names, without a rounding of its own."""
    return float(f"1e{exponent}")


def _mix(first: str, second: str, share: float) -> str:
    """Return the colour at `share` of the way from `first` to `second`."""
    pairs = zip(bytes.fromhex(first[1:]), bytes.fromhex(second[1:]), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * share):02X}" for a, b in pairs)
