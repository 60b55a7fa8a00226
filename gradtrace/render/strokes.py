"""The arrows of a figure: what flows along each, and how much."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gradtrace.render.grids import edge_grid
from gradtrace.render.labels import arrow_label, arrow_tooltip
from gradtrace.render.mathematics import Formulas
from gradtrace.render.palette import Magnitudes
from gradtrace.render.parts import FigureEdge, Theme
from gradtrace.render.pieces import Arrow, Drawing
from gradtrace.render.skips import skips

__all__ = ["Strokes"]

THIN = 0.8


@dataclass(frozen=True, slots=True)
class Strokes:
    """Draws the arrows of a figure, all on one scale."""

    drawing: Drawing
    theme: Theme
    passes: str
    show: frozenset[str]
    magnitudes: Magnitudes | None
    formulas: Formulas | None

    @classmethod
    def of(
        cls,
        drawing: Drawing,
        *,
        theme: Theme,
        passes: str,
        show: frozenset[str],
        formulas: Formulas | None = None,
    ) -> Strokes:
        """Return what draws the arrows of `drawing`."""
        magnitudes = Magnitudes.of(_norms(drawing.arrows), theme)
        return cls(
            drawing, theme, passes, show, None if passes == "forward" else magnitudes, formulas
        )

    def edges(self, lit: Sequence[str]) -> Iterator[FigureEdge]:
        """Yield the arrows, each with its emphasis in `lit`."""
        skipping = skips(self.drawing)
        for index, (arrow, emphasis) in enumerate(zip(self.drawing.arrows, lit, strict=True)):
            kind = "carried" if arrow.carried else "skip" if index in skipping else "value"
            edge = replace(self._edge(arrow, kind), emphasis=emphasis)
            if self.passes == "backward":
                yield _returning(edge)
                continue
            if self.passes != "both":
                yield edge
                continue
            value = replace(edge, colour=self.theme.grey, width=THIN, line="solid")
            if edge.line != "solid":
                yield value
                continue
            yield replace(value, label="", latex="", grid=None)
            yield _returning(edge)

    def _edge(self, arrow: Arrow, kind: str) -> FigureEdge:
        boxes = self.drawing.boxes
        colour, width, line = self._stroke(arrow.data)
        grid = None
        if "grids" in self.show and arrow.data is not None:
            grid = edge_grid(arrow.data, self.theme)
        label, latex = self._label(arrow)
        return FigureEdge(
            tail=f"n{arrow.tail}",
            head=f"n{arrow.head}",
            label=label,
            latex=latex,
            colour=colour,
            width=width,
            line=line,
            tooltip=arrow_tooltip(boxes[arrow.tail], boxes[arrow.head], arrow),
            kind=kind,
            grid=grid,
        )

    def _label(self, arrow: Arrow) -> tuple[str, str]:
        """Return what stands at an arrow, as text and, with formulas, in LaTeX."""
        label = arrow_label(arrow, self.show)
        tail, head = (self.drawing.boxes[i].node for i in (arrow.tail, arrow.head))
        data = arrow.data
        if self.formulas is None or arrow.uses > 1 or data is None or not tail or not head:
            return label, ""
        if data["local_derivative"] is None or "local_derivatives" not in self.show:
            return label, ""
        text, latex = self.formulas.edge(tail, head, data)
        gain = label[label.index("×") + 1 :] if "×" in label else ""
        if gain and gain[0].isdigit():
            return f"{text}  ×{gain}", rf"{latex} \quad \times {_mathematical(gain)}"
        return text, latex

    def _stroke(self, data: Mapping[str, Any] | None) -> tuple[str, float, str]:
        """Return colour, width and line of an arrow with this downstream gradient."""
        if self.passes == "forward":
            return self.theme.grey, THIN, "solid"
        norm = _norm(data)
        if norm is None:
            return self.theme.faint, THIN, "dashed"
        if not math.isfinite(norm):
            return self.theme.alarm, 2.4, "solid"
        if norm == 0 or self.magnitudes is None:
            return self.theme.faint, THIN, "dotted"
        return self.magnitudes.colour(norm), self.magnitudes.width(norm), "solid"


def _mathematical(number: str) -> str:
    r"""Return a written number in LaTeX.

    >>> _mathematical("1.2e-5")
    '1.2 \\cdot 10^{-5}'
    """
    mantissa, _, exponent = number.partition("e")
    return rf"{mantissa} \cdot 10^{{{exponent}}}" if exponent else mantissa


def _returning(edge: FigureEdge) -> FigureEdge:
    """Return the arrow of the gradient that comes back along `edge`."""
    return replace(edge, tail=edge.head, head=edge.tail, kind="gradient", against=edge.kind)


def _norm(data: Mapping[str, Any] | None) -> float | None:
    downstream = None if data is None else data["downstream_gradient"]
    return None if downstream is None else downstream.norm


def _norms(arrows: Sequence[Arrow]) -> Iterator[float]:
    for arrow in arrows:
        norm = _norm(arrow.data)
        if norm is not None:
            yield norm
