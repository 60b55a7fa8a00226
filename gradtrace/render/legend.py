"""The legend of what a figure shows, without what it does not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gradtrace.render.numbers import printable
from gradtrace.render.parts import FigureEdge, FigureNode, Legend, Scale
from gradtrace.render.strokes import THIN, Strokes
from gradtrace.render.themes import ROLES, look

__all__ = ["legend_of"]


def legend_of(
    nodes: Sequence[FigureNode],
    edges: Sequence[FigureEdge],
    strokes: Strokes,
    dtype: str | None,
) -> Legend:
    """Return the legend of a figure with these nodes and edges."""
    theme = strokes.theme
    roles = {node.look.role for node in nodes}
    scale = strokes.magnitudes.samples() if strokes.magnitudes else []
    lines = {edge.line for edge in edges}
    if "dotted" in lines:
        scale.append(Scale("0", theme.faint, THIN, "dotted"))
    if any(edge.width == 2.4 and edge.colour == theme.alarm for edge in edges):
        scale.append(Scale("NaN, Inf", theme.alarm, 2.4))
    if "dashed" in lines:
        scale.append(Scale("none", theme.faint, THIN, "dashed"))
    looks = tuple(look(theme, role) for role in ROLES if role in roles)
    return Legend(looks, tuple(scale), tuple(_remarks(nodes, edges, strokes, dtype)))


def _remarks(
    nodes: Sequence[FigureNode],
    edges: Sequence[FigureEdge],
    strokes: Strokes,
    dtype: str | None,
) -> list[str]:
    """Return what is to be known to read the numbers."""
    remarks = []
    if any(row.caption.startswith("‖") for node in nodes for row in node.rows):
        remarks.append("‖·‖ is the Euclidean norm")
    labels = {edge.label for edge in edges if edge.label and not edge.label.endswith(" uses")}
    if labels:
        remarks.append(_label_remark(labels))
    if any(" … " in row.text for node in nodes for row in node.rows if row.caption):
        remarks.append("a … b: in the first and in the last repetition")
    if any(grid for node in nodes for grid in node.grids) or any(edge.grid for edge in edges):
        remarks.append("images: each element, orange below 0, violet above")
    if dtype:
        remarks.append(f"{printable(dtype)} unless stated")
    return remarks


def _label_remark(labels: Iterable[str]) -> str:
    """Return what the labels of arrows mean.

    >>> _label_remark(["×0.5"]), _label_remark(["-1.2", "diagonal ×0.5"])
    ('× at an arrow is its gain', "an arrow's label is its local derivative, × its gain")
    """
    gains = any("×" in label for label in labels)
    if all(label.startswith("×") for label in labels):
        return "× at an arrow is its gain"
    return "an arrow's label is its local derivative" + (", × its gain" if gains else "")
