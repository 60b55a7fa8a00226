"""The colours of charts, light and dark, safe for colour-blind readers.

Magnitudes take cividis or viridis. What is no magnitude takes a colour that neither has.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

__all__ = ["DARK", "DIVERGING", "LIGHT", "PALETTES", "Theme", "between", "ink_on", "palette"]


@dataclass(frozen=True, slots=True)
class Theme:
    """The colours of one mode."""

    dark: bool
    paper: str
    ink: str
    grey: str
    grid: str
    series: tuple[str, ...]
    """Those of Okabe and Ito, in an order in which neighbours differ most."""
    mark: str
    other: str
    zero: str = "#D1FEF2"
    nan: str = "#F23CFE"
    infinite: str = "#421BFD"
    absent: str = "#C9CED6"


LIGHT = Theme(
    dark=False,
    paper="#FFFFFF",
    ink="#1F2933",
    grey="#5F6B7A",
    grid="#E4E8ED",
    series=("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#8A6D00", "#56B4E9", "#5B6675"),
    mark="#D55E00",
    other="#0072B2",
)

DARK = Theme(
    dark=True,
    paper="#0E1117",
    ink="#EDF1F5",
    grey="#A3AEBB",
    grid="#2A313B",
    series=("#56B4E9", "#E69F00", "#2CC295", "#E39AC3", "#F0E442", "#8AA7FF", "#B8C2CE"),
    mark="#FF8A3D",
    other="#56B4E9",
    absent="#4A525E",
)

PALETTES = {
    "cividis": "00224e 123570 3b496c 575d6d 707173 8a8678 a59c74 c3b369 e1cc55 fee838",
    "viridis": "440154 482878 3e4989 31688e 26828e 1f9e89 35b779 6ece58 b5de2b fde725",
}

DIVERGING = "#2166AC #67A9CF #D1E5F0 #F7F7F7 #FDDBC7 #EF8A62 #B2182B".split()
"""From negative to positive, by Brewer."""


@lru_cache(maxsize=8)
def palette(name: str, count: int) -> tuple[str, ...]:
    """Return `count` colours from the smallest to the largest magnitude.

    >>> palette("cividis", 3)
    ('#00224E', '#7D7C76', '#FEE838')
    """
    anchors = [f"#{each}".upper() for each in PALETTES[name].split()]
    return tuple(between(anchors, place / max(count - 1, 1)) for place in range(count))


def between(anchors: list[str], place: float) -> str:
    """Return the colour at `place`, from 0 to 1, between the first and the last of `anchors`."""
    at = min(1.0, max(0.0, place)) * (len(anchors) - 1)
    index = min(int(at), len(anchors) - 2)
    left, right = list(pairwise(anchors))[index]
    mixed = (
        round(a + (b - a) * (at - index)) for a, b in zip(_rgb(left), _rgb(right), strict=True)
    )
    return "#{:02X}{:02X}{:02X}".format(*mixed)


def ink_on(colour: str) -> str:
    """Return black or white, whichever can be read on `colour`.

    >>> ink_on("#FEE838"), ink_on("#00224E")
    ('#111111', '#FFFFFF')
    """
    red, green, blue = _rgb(colour)
    light = 0.2126 * _linear(red) + 0.7152 * _linear(green) + 0.0722 * _linear(blue)
    return "#111111" if light > 0.19 else "#FFFFFF"


def _linear(channel: int) -> float:
    """Return the light of a channel, as WCAG 2 has it."""
    share = channel / 255
    return share / 12.92 if share <= 0.04045 else float(((share + 0.055) / 1.055) ** 2.4)


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
