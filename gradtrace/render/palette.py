"""The colours of magnitudes and of signs, mixed from those of a theme."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from gradtrace.render.numbers import number
from gradtrace.render.parts import Scale, Theme
from gradtrace.render.themes import THEMES

__all__ = ["Magnitudes", "along"]

TICKS = 5


@dataclass(frozen=True, slots=True)
class Magnitudes:
    """A log scale of gradient magnitudes, between two powers of ten.

    >>> scale = Magnitudes.of([0.02, 3.0])
    >>> scale.low, scale.high
    (-2, 1)
    >>> scale.colour(10.0), scale.width(10.0)
    ('#00224E', 3.2)
    """

    low: int
    high: int
    theme: Theme = field(default=THEMES["paper"], repr=False)

    @classmethod
    def of(cls, values: Iterable[float], theme: Theme = THEMES["paper"]) -> Magnitudes | None:
        """Return the scale that holds all positive finite `values`, or None without any."""
        logs = [math.log10(value) for value in values if 0 < value < math.inf]
        if not logs:
            return None
        low, high = math.floor(min(logs)), min(308, math.ceil(max(logs)))
        return cls(low, high, theme) if low < high else cls(low - 1, high, theme)

    def position(self, value: float) -> float:
        """Return where `value` lies on the scale, from 0 to 1."""
        place = (math.log10(value) - self.low) / (self.high - self.low)
        return min(1.0, max(0.0, place))

    def colour(self, value: float) -> str:
        """Return the colour of an arrow with a gradient of this magnitude."""
        return along(self.theme.magnitudes, self.position(value))

    def width(self, value: float) -> float:
        """Return the width, in points, of an arrow with a gradient of this magnitude."""
        thin, thick = self.theme.widths
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


def along(colours: Sequence[str], place: float) -> str:
    """Return the colour at `place`, from 0 to 1, along `colours`.

    >>> along(["#000000", "#FFFFFF"], 0.5)
    '#808080'
    """
    position = place * (len(colours) - 1)
    index = min(int(position), len(colours) - 2)
    return _mix(colours[index], colours[index + 1], position - index)


def _mix(first: str, second: str, share: float) -> str:
    """Return the colour at `share` of the way from `first` to `second`."""
    pairs = zip(bytes.fromhex(first[1:]), bytes.fromhex(second[1:]), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * share):02X}" for a, b in pairs)
