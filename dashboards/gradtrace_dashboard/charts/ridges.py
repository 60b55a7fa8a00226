"""Histograms of one tensor over the steps as ridges, the latest in front."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from gradtrace.recording.reader import Histograms
from gradtrace_dashboard.charts.scales import Scale
from gradtrace_dashboard.charts.svg import document, line, rect, tag, text
from gradtrace_dashboard.charts.theme import Theme, palette

__all__ = ["ridges"]

MOST = 28
"""Ridges that can be told apart on a screen."""

RISE = 3.4
"""How high the highest one stands, in distances between two of them."""

WIDTH, HEIGHT, TOP, BOTTOM = 1000.0, 430.0, 36.0, 40.0
LEFT, LANE, START, END = 70.0, 34.0, 116.0, 986.0
"""Where the lane of zeros begins, how wide it is, and where the magnitudes begin and end."""


def ridges(found: Histograms, *, title: str, theme: Theme, step: int | None = None) -> str:
    """Return the drawing: magnitudes across, steps down, the share of elements as height.

    What is below the smallest bin, zeros among it, stands in a lane of its own on the left.
    """
    rows = np.unique(np.linspace(0, len(found.steps) - 1, min(MOST, len(found.steps))).astype(int))
    steps, counts = found.steps[rows], found.counts[rows].astype(np.float64)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    used = np.flatnonzero(shares[:, 1:].sum(axis=0)) + 1
    bins = range(int(used[0]), int(used[-1]) + 1) if used.size else range(1, 2)
    highest = float(shares[:, 1:].max(initial=0.0)) or 1.0
    gap = (HEIGHT - TOP - BOTTOM) / (len(rows) - 1 + RISE)
    marked = None if step is None else int(np.abs(steps - step).argmin())
    colours = palette("cividis", len(rows) + 6)[6 * theme.dark :]
    parts = [text(title, x=LEFT, y=17, font_weight=600, font_size=13), *_axis(found, bins, theme)]
    for row, (at, share) in enumerate(zip(steps.tolist(), shares, strict=True)):
        base = TOP + (row + RISE) * gap
        colour = theme.mark if row == marked else colours[row]
        stair = _stair(share / highest * gap * RISE, bins, base)
        bar = share[0] * gap * 0.9
        look = {"fill": colour, "fill_opacity": 0.55, "stroke": colour, "stroke_width": 1.2}
        parts.append(tag("path", tag("title", f"step {at:,}"), d=stair, **look))
        parts.append(rect(LEFT, base - bar, LANE, bar, fill=colour))
        if row % max(1, len(rows) // 7) == 0 or row == marked:
            ink = theme.mark if row == marked else theme.grey
            parts.append(text(f"{at:,}", x=LEFT - 8, y=base, text_anchor="end", fill=ink))
    parts.append(text("step", x=LEFT - 8, y=TOP + 0.5 * gap, text_anchor="end", fill=theme.grey))
    return document(WIDTH, HEIGHT, *parts, theme=theme, label=title)


def _stair(heights: npt.NDArray[np.float64], bins: range, base: float) -> str:
    """Return the outline of a ridge."""
    wide = (END - START) / len(bins)
    stairs = (f"V{base - heights[index]:.1f}h{wide:.2f}" for index in bins)
    return f"M{START:.1f},{base:.1f}{''.join(stairs)}V{base:.1f}z"


def _axis(found: Histograms, bins: range, theme: Theme) -> Iterator[str]:
    """Yield a line for each power of ten, and what the lane and the axis are."""
    scale = Scale(float(found.edges[bins[0] - 1]), _upper(found, bins[-1]), log=True)
    bottom = HEIGHT - BOTTOM
    for place, label in scale.ticks(8):
        x = START + place * (END - START)
        yield line(x, TOP, x, bottom, stroke=theme.grid)
        yield text(label, x=x, y=bottom + 16, text_anchor="middle", fill=theme.grey)
    grey = {"y": bottom + 16, "text_anchor": "middle", "fill": theme.grey}
    yield text(f"< {found.edges[0]:.0e}", x=LEFT + LANE / 2, **grey)
    end = {"text_anchor": "end", "fill": theme.grey}
    yield text("magnitude of an element", x=END, y=HEIGHT - 6, **end)


def _upper(found: Histograms, index: int) -> float:
    """Return the upper edge of a bin; that of the last is as far as if it were as wide."""
    if index < len(found.edges):
        return float(found.edges[index])
    return float(found.edges[-1]) * 2
