"""The parts that a figure is made of, as plain data for any renderer.

Nothing here knows a file format: a role says what a thing is, a colour is a hexadecimal triple,
and a width is in points.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Cluster", "Figure", "FigureEdge", "FigureNode", "Legend", "Look", "Row", "Scale"]


@dataclass(frozen=True, slots=True)
class Look:
    """How things of one role are drawn."""

    role: str
    """`input`, `parameter`, `buffer`, `constant`, `call`, `item`, `fold`, `output`, `elided`."""
    shape: str
    """`rectangle`, `rounded`, `double` (an outline drawn twice) or `dashed`."""
    line: str
    fill: str
    meaning: str
    """What the legend says of it."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a node's label: a text, or a caption with its number."""

    text: str
    role: str = "detail"
    """`name`, `detail`, `number`, `missing` (a number not computed) or `alarm` (not finite)."""
    caption: str = ""


@dataclass(frozen=True, slots=True)
class FigureNode:
    """One box of the figure."""

    id: str
    """Unique in the figure, such as `n0`."""
    node: str | None
    """Id of the node in the graph; None for a box that stands for several."""
    look: Look
    rows: tuple[Row, ...]
    cluster: str | None
    tooltip: str


@dataclass(frozen=True, slots=True)
class FigureEdge:
    """One arrow of the figure, from operand to result."""

    tail: str
    head: str
    label: str
    colour: str
    width: float
    line: str
    """`solid`, `dashed` (no gradient flows or is known) or `dotted` (its gradient is 0)."""
    tooltip: str


@dataclass(frozen=True, slots=True)
class Cluster:
    """A frame around the nodes of one scope."""

    id: str
    label: str
    parent: str | None
    tooltip: str


@dataclass(frozen=True, slots=True)
class Scale:
    """One sample of the arrows: a colour and a width with what they mean."""

    text: str
    colour: str
    width: float
    line: str = "solid"


@dataclass(frozen=True, slots=True)
class Legend:
    """What the looks and the arrows of a figure mean."""

    looks: tuple[Look, ...]
    scale: tuple[Scale, ...]
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Figure:
    """All that a renderer needs to draw a graph."""

    nodes: tuple[FigureNode, ...]
    edges: tuple[FigureEdge, ...]
    clusters: tuple[Cluster, ...]
    """Each after its parent."""
    direction: str = "down"
    """Where values flow: `down`, `up`, `right` or `left`."""
    title: str | None = None
    legend: Legend | None = None
    note: str | None = None
    """What was folded or left out."""
