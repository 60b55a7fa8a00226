"""What a graph looks like as a figure, whatever the format it is drawn in."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import networkx as nx

from gradtrace.errors import OptionError, require_choice
from gradtrace.render.boxes import Arrow, Box
from gradtrace.render.fold import LIMIT_NODES, fold
from gradtrace.render.labels import (
    arrow_label,
    arrow_tooltip,
    node_rows,
    node_tooltip,
    summaries,
)
from gradtrace.render.numbers import printable
from gradtrace.render.palette import ALARM, FAINT, LOOKS, Magnitudes
from gradtrace.render.parts import Figure, FigureEdge, FigureNode, Legend, Look, Scale
from gradtrace.render.scopes import Frames, reaches

__all__ = ["DIRECTIONS", "figure"]

DIRECTIONS = ("down", "up", "right", "left")

THIN = 0.8


def figure(
    graph: nx.MultiDiGraph[str],
    *,
    depth: int | None = None,
    direction: str = "down",
    legend: bool = True,
    limit_nodes: int = LIMIT_NODES,
    title: str | None = None,
) -> Figure:
    """Return the figure of `graph`.

    Args:
        graph: The graph to draw.
        depth: At which scopes to fold: 1 folds the outermost. Without it, nothing is folded
            that fits into the figure.
        direction: Where values flow: `"down"`, `"up"`, `"right"` or `"left"`.
        legend: Whether shapes, colours and widths are explained.
        limit_nodes: Boxes above which the figure is folded further, and cut at last, so that
            its layout stays quick.
        title: What is written above.

    A leaf whose uses lie far apart is drawn at each use. Raises `OptionError` for an option
    value that is not allowed.
    """
    require_choice("direction", direction, DIRECTIONS)
    require_choice("legend", legend, (True, False))
    _require_count("depth", depth, optional=True)
    _require_count("limit_nodes", limit_nodes)
    drawn, drawing, note = fold(graph, depth=depth, limit=limit_nodes)
    dtype = _usual_dtype(drawn)
    frames = Frames.around(
        [box.place for box in drawing.boxes], reaches(data for _, data in drawn.nodes(data=True))
    )
    nodes = tuple(
        FigureNode(
            id=f"n{index}",
            node=box.node,
            look=_look(box),
            rows=node_rows(box, scope=frames.scopes[frame], dtype=dtype),
            cluster=frame,
            tooltip=node_tooltip(box),
        )
        for index, (box, frame) in enumerate(zip(drawing.boxes, frames.members, strict=True))
    )
    magnitudes = Magnitudes.of(_downstream_norms(drawing.arrows))
    edges = tuple(_edge(arrow, drawing.boxes, magnitudes) for arrow in drawing.arrows)
    return Figure(
        nodes=nodes,
        edges=edges,
        clusters=frames.clusters,
        direction=direction,
        title=None if title is None else printable(title),
        legend=_legend(nodes, edges, magnitudes, dtype) if legend else None,
        note=note,
    )


def _require_count(option: str, value: object, *, optional: bool = False) -> None:
    if value is None and optional:
        return
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        choices = "an integer from 1, or None" if optional else "an integer from 1"
        raise OptionError(f"{option}={value!r} is not an option; use {choices}")


def _look(box: Box) -> Look:
    """Return the look of a box: an output first of all, then a fold, then its kind."""
    if box.node is None:
        return LOOKS["elided"]
    if box.data["seed"] is not None:
        return LOOKS["output"]
    return LOOKS["fold" if box.folded else box.data["kind"]]


def _edge(arrow: Arrow, boxes: Sequence[Box], magnitudes: Magnitudes | None) -> FigureEdge:
    colour, width, line = _stroke(arrow.data, magnitudes)
    return FigureEdge(
        tail=f"n{arrow.tail}",
        head=f"n{arrow.head}",
        label=arrow_label(arrow),
        colour=colour,
        width=width,
        line=line,
        tooltip=arrow_tooltip(boxes[arrow.tail], boxes[arrow.head], arrow),
    )


def _stroke(
    data: Mapping[str, Any] | None, magnitudes: Magnitudes | None
) -> tuple[str, float, str]:
    """Return colour, width and line of an arrow with this downstream gradient."""
    norm = _norm(data)
    if norm is None:
        return FAINT, THIN, "dashed"
    if not math.isfinite(norm):
        return ALARM, 2.4, "solid"
    if norm == 0 or magnitudes is None:
        return FAINT, THIN, "dotted"
    return magnitudes.colour(norm), magnitudes.width(norm), "solid"


def _norm(data: Mapping[str, Any] | None) -> float | None:
    downstream = None if data is None else data["downstream_gradient"]
    return None if downstream is None else downstream.norm


def _downstream_norms(arrows: Sequence[Arrow]) -> Iterator[float]:
    for arrow in arrows:
        norm = _norm(arrow.data)
        if norm is not None:
            yield norm


def _usual_dtype(graph: nx.MultiDiGraph[str]) -> str | None:
    """Return the type that most values have; boxes name only other ones."""
    types = Counter(
        summary.dtype
        for _, value in graph.nodes(data="value")
        for summary in summaries(value)
        if summary is not None
    )
    return max(types, key=lambda dtype: (types[dtype], dtype)) if types else None


def _legend(
    nodes: Sequence[FigureNode],
    edges: Sequence[FigureEdge],
    magnitudes: Magnitudes | None,
    dtype: str | None,
) -> Legend:
    """Return the legend of what the figure shows, without what it does not."""
    roles = {node.look.role for node in nodes}
    scale = magnitudes.samples() if magnitudes else []
    lines = {edge.line for edge in edges}
    if "dotted" in lines:
        scale.append(Scale("0", FAINT, THIN, "dotted"))
    if any(edge.colour == ALARM for edge in edges):
        scale.append(Scale("NaN, Inf", ALARM, 2.4))
    if "dashed" in lines:
        scale.append(Scale("none", FAINT, THIN, "dashed"))
    remarks = ["‖·‖ is the Euclidean norm"]
    if any(edge.label for edge in edges):
        remarks.append("an arrow's label is its local derivative, × its gain")
    if dtype:
        remarks.append(f"{printable(dtype)} unless stated")
    looks = tuple(look for role, look in LOOKS.items() if role in roles)
    return Legend(looks, tuple(scale), tuple(remarks))
