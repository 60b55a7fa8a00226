"""The page of a drawing: as wide as it is told, with text that can still be read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gradtrace.errors import PageError
from gradtrace.render.parts import Figure
from gradtrace_graphviz.content import Content, phrase
from gradtrace_graphviz.key import key
from gradtrace_graphviz.scene import Area, Group, Page, moved, reach

__all__ = ["SMALLEST", "Paper", "gaps"]

MARGIN = 3.0
"""Room around a drawing, in points."""

SMALLEST = 6.0
"""Size of the smallest text on a page, in points."""

LARGEST = 1.15
"""How much larger than its theme says a figure is printed at most."""

HIGHEST = 9.0
"""Height of a page in inches, where its width is given."""

NARROWEST = 230.0
"""Width, in points, that a legend fills at least."""

GAPS = {True: (0.85, 1.8), False: (2.3, 2.9)}
"""Room between boxes side by side, and one below the other, on a page and without one, in sizes of
small print."""


def gaps(figure: Figure) -> tuple[float, float]:
    """Return the room between boxes side by side, and one below the other, in points."""
    across, along = GAPS[figure.width is not None]
    size = figure.theme.sizes["detail"]
    return across * size, along * size


@dataclass(frozen=True, slots=True)
class Paper:
    """The paper that one figure is printed on."""

    figure: Figure

    def printed(self, groups: list[Group]) -> Page:
        """Return the page, with text as large as fits."""
        parts = [part for group in groups for part in group.parts]
        area = reach(parts) if parts else (0.0, 0.0, 1.0, 1.0)
        if self.figure.width is None:
            return self.framed(groups, area, 1.0)
        most, least = self.scale(area[2] - area[0]), SMALLEST / min(self.sizes())
        page = self.framed(groups, area, most)
        high = page.height * most / 72
        if high > HIGHEST:
            page = self.framed(groups, area, max(least, 0.99 * most * HIGHEST / high))
            high = page.height * page.scale / 72
        if high > HIGHEST:
            raise self.too_large(f"is {high:.1f} inches high, of {HIGHEST:g}")
        return page

    def framed(self, groups: list[Group], area: Area, scale: float) -> Page:
        """Return the title above, the drawing, the legend below."""
        figure = self.figure
        left, top, right, low = area
        wide = max(right - left, 1.0)
        page = None if figure.width is None else 72 * figure.width / scale
        room = max(wide, NARROWEST) if page is None else page - 2 * MARGIN
        head, foot = self.head(room), key(figure, room)
        page = page or max(wide, head.width, foot.width) + 2 * MARGIN
        y = MARGIN + head.height + (4 if head.parts else 0)
        dx, dy = (page - (right - left)) / 2 - left, y - top
        shifted = [
            Group(g.kind, tuple(moved(p, dx, dy) for p in g.parts), g.tooltip, g.opacity)
            for g in groups
        ]
        y += low - top + (6 if foot.parts else 0)
        shifted.append(Group("title", head.at(MARGIN, MARGIN)))
        shifted.append(Group("legend", foot.at(MARGIN, y)))
        high = y + foot.height + MARGIN
        title = figure.title or "gradtrace"
        return Page(page, high, scale, tuple(shifted), figure.theme.background, title)

    def head(self, room: float) -> Content:
        theme, title = self.figure.theme, self.figure.title
        if not title:
            return Content(0.0, 0.0, ())
        size = theme.sizes["title"]
        whole = phrase(title, size=size, colour=theme.ink, bold=True)
        if whole.width <= room or self.figure.width is None:
            return whole
        return phrase(title, size=size * room / whole.width, colour=theme.ink, bold=True)

    def sizes(self) -> Iterable[float]:
        return self.figure.theme.sizes.values()

    def scale(self, wide: float) -> float:
        """Return how much larger or smaller than drawn the figure fills its page."""
        assert self.figure.width is not None
        scale = min(LARGEST, (72 * self.figure.width - 2 * MARGIN) / (wide + 1))
        if scale * min(self.sizes()) < SMALLEST:
            needed = (wide + 2 * MARGIN) * SMALLEST / min(self.sizes()) / 72
            raise self.too_large(f"is {needed:.1f} inches wide, of {self.figure.width:g}")
        return scale

    def require_room(self, sizes: Mapping[str, tuple[float, float]]) -> None:
        """Raise `PageError` for what cannot fit its page however it is laid out."""
        figure = self.figure
        if figure.width is None:
            return
        across = figure.direction in ("left", "right")
        self.scale(max((wide for wide, _ in sizes.values()), default=1.0))
        gap = gaps(figure)[1]
        long = {name: size[0 if across else 1] + gap for name, size in sizes.items()}
        order = {node.id: index for index, node in enumerate(figure.nodes)}
        ends = dict(long)
        leaves = {edge.tail for edge in figure.edges} - {edge.head for edge in figure.edges}
        for edge in sorted(figure.edges, key=lambda edge: order[edge.head]):
            if order[edge.tail] < order[edge.head] and edge.tail not in leaves:
                ends[edge.head] = max(ends[edge.head], ends[edge.tail] + long[edge.head])
        longest = max(ends.values(), default=0.0)
        if across:
            self.scale(longest - gap)
        elif (high := longest * SMALLEST / min(self.sizes()) / 72) > HIGHEST:
            raise self.too_large(f"is more than {high:.1f} inches high, of {HIGHEST:g}")

    def too_large(self, how: str) -> PageError:
        return PageError(
            f"with text of {SMALLEST:g} points the figure {how}; draw less of the graph with "
            "depth=, focus=, show= or a smaller limit_nodes=, or choose a larger width="
        )
