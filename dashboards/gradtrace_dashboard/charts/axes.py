"""The frame of a chart: axes, grid, labels."""

from __future__ import annotations

from dataclasses import dataclass

from gradtrace_dashboard.charts.scales import Scale
from gradtrace_dashboard.charts.svg import line, rect, tag, text
from gradtrace_dashboard.charts.theme import Theme

__all__ = ["Frame"]


@dataclass(frozen=True, slots=True)
class Frame:
    """The rectangle in which data is drawn, in a drawing of `width` × `height`."""

    width: float
    height: float
    x: Scale
    y: Scale
    theme: Theme
    left: float = 62
    right: float = 14
    top: float = 28
    bottom: float = 34

    @property
    def inner(self) -> tuple[float, float]:
        """Width and height of the rectangle."""
        return self.width - self.left - self.right, self.height - self.top - self.bottom

    def at_x(self, value: float) -> float | None:
        """Return the horizontal place of a number."""
        place = self.x.place(value)
        return None if place is None else self.left + place * self.inner[0]

    def at_y(self, value: float) -> float | None:
        """Return the vertical place of a number."""
        place = self.y.place(value)
        return None if place is None else self.top + (1 - place) * self.inner[1]

    def drawn(self, title: str, x_label: str) -> str:
        """Return axes, grid and labels."""
        width, height = self.inner
        parts = [
            text(title, x=self.left, y=17, font_weight=600, font_size=13),
            text(
                x_label,
                x=self.left + width,
                y=self.height - 4,
                text_anchor="end",
                fill=self.theme.grey,
            ),
        ]
        for place, label in self.y.ticks(max(2, int(height / 34))):
            y = self.top + (1 - place) * height
            parts.append(line(self.left, y, self.left + width, y, stroke=self.theme.grid))
            shown = {"text_anchor": "end", "fill": self.theme.grey}
            parts.append(text(label, x=self.left - 7, y=y + 4, **shown))
        for place, label in self.x.ticks(max(2, int(width / 110))):
            x = self.left + place * width
            parts.append(
                text(
                    label,
                    x=x,
                    y=self.top + height + 16,
                    text_anchor="middle",
                    fill=self.theme.grey,
                )
            )
        edge = rect(self.left, self.top, width, height, fill="none", stroke=self.theme.grid)
        return tag("g", *parts, edge)
