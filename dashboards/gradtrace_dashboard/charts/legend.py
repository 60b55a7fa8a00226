"""What the colours of a chart mean: a ramp of magnitudes, and what is no magnitude."""

from __future__ import annotations

from gradtrace_dashboard.charts.scales import Scale
from gradtrace_dashboard.charts.svg import document, line, rect, tag, text
from gradtrace_dashboard.charts.theme import Theme, palette

__all__ = ["FIRST", "STATES", "colours", "legend", "strip"]

STATES = ("not computed", "0", "NaN", "Inf")
"""What the levels below `FIRST` mean."""

FIRST = len(STATES)
"""The level of the smallest magnitude; 255 is that of the largest."""

RAMP = 315.0


def colours(theme: Theme, scheme: str) -> tuple[str, ...]:
    """Return the colours of all 256 levels."""
    return (*_states(theme), *palette(scheme, 256 - FIRST))


def legend(
    found: tuple[str, ...],
    scale: Scale,
    theme: Theme,
    states: tuple[str, ...] = STATES,
    *,
    left: float,
    y: float,
) -> str:
    """Return the ramp with its numbers, then a square for each state that has a name."""
    parts = []
    for index in range(63):
        x = left + index * RAMP / 63
        parts.append(rect(x, y, RAMP / 63 + 0.4, 10, fill=found[FIRST + 4 * index]))
    for place, label in scale.ticks(6):
        x = left + place * RAMP
        parts.append(line(x, y + 10, x, y + 14, stroke=theme.grey))
        parts.append(text(label, x=x, y=y + 26, text_anchor="middle", fill=theme.grey))
    x = left + RAMP + 30
    for index in (1, 2, 3, 0):
        if states[index]:
            parts.append(rect(x, y, 12, 12, fill=found[index], stroke=theme.grey))
            parts.append(text(states[index], x=x + 17, y=y + 11))
            x += 34 + 7 * len(states[index])
    return tag("g", *parts)


def strip(title: str, found: tuple[str, ...], scale: Scale, theme: Theme) -> str:
    """Return a legend as a drawing of its own."""
    parts = [
        text(title, x=0, y=12, fill=theme.grey),
        legend(found, scale, theme, left=16, y=20),
    ]
    return document(600, 50, *parts, theme=theme, label=title)


def _states(theme: Theme) -> tuple[str, ...]:
    return theme.absent, theme.zero, theme.nan, theme.infinite
