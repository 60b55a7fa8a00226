"""The parts that a figure is made of, as plain data for any renderer.

Nothing here knows a file format: a role says what a thing is, a colour is a hexadecimal triple,
a width is in points, and mathematics is LaTeX.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = [
    "Cluster",
    "Figure",
    "FigureEdge",
    "FigureNode",
    "Grid",
    "Legend",
    "Look",
    "Row",
    "Scale",
    "Theme",
]


@dataclass(frozen=True, slots=True)
class Theme:
    """The colours and sizes of figures, as a table.

    `dataclasses.replace(gradtrace.render.THEMES["paper"], ink="#000000")` makes another one.
    """

    name: str
    ink: str = "#1F2933"
    """Names and numbers."""
    grey: str = "#57616E"
    """What is said in small print."""
    faint: str = "#868E99"
    """Arrows without gradient."""
    alarm: str = "#A63F00"
    """Numbers and arrows that are not finite."""
    accent: str = "#C2185B"
    """The outline of what is highlighted."""
    ground: str = "#FFFFFF"
    """What the theme is read on; the contrast of its colours is that with it."""
    background: str | None = None
    """What is painted behind the figure; None leaves it transparent."""
    frame: str = "#AEB7C2"
    """Outlines of frames."""
    frames: tuple[str, ...] = ("#F6F8FA", "#ECF0F4")
    """Fills of frames, in turn by depth."""
    roles: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Outline and fill of each role; those of `call` for a role that is not named."""
    magnitudes: tuple[str, ...] = ("#968F75", "#7D7C78", "#575D6D", "#2B446E", "#00224E")
    """Colours of gradients, from small to large, between which others are mixed."""
    signs: tuple[str, ...] = ("#B35806", "#F1A340", "#F7F7F7", "#998EC3", "#542788")
    """Colours of the elements of a grid, from the most negative through 0 to the most positive."""
    widths: tuple[float, float] = (0.8, 3.2)
    """Widths of arrows of the smallest and of the largest gradient, in points."""
    sizes: Mapping[str, float] = field(
        default_factory=lambda: {"name": 8.5, "number": 7.5, "detail": 7.0, "title": 11.0}
    )
    """Sizes of text in points."""


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
    """`name`, `detail`, `formula`, `number`, `missing` (not computed) or `alarm` (not finite)."""
    caption: str = ""
    latex: str = ""
    """The same as `text` in LaTeX, for renderers that typeset mathematics; empty if it is none."""


@dataclass(frozen=True, slots=True)
class Grid:
    """A small tensor as an image: a colour for each element."""

    caption: str
    cells: tuple[tuple[str, ...], ...]
    """Rows of hexadecimal triples."""
    tooltip: str = ""


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
    grids: tuple[Grid, ...] = ()
    emphasis: str = ""
    """`highlighted`, `faded`, or nothing."""


@dataclass(frozen=True, slots=True)
class FigureEdge:
    """One arrow of the figure."""

    tail: str
    head: str
    label: str
    colour: str
    width: float
    line: str
    """`solid`, `dashed` (no gradient flows or is known) or `dotted` (its gradient is 0)."""
    tooltip: str
    kind: str = "value"
    """What flows along it.

    `value` runs from operand to result; `skip` does too, beside a longer way between the two;
    `carried` runs to the next repetition, against the order of the boxes; `gradient` runs from
    result to operand, against the order too.
    """
    against: str = ""
    """Of a gradient, what it runs against: `value`, `skip` or `carried`."""
    latex: str = ""
    """The same as `label` in LaTeX; empty if it is no mathematics."""
    grid: Grid | None = None
    """The Jacobian, where it is small."""
    emphasis: str = ""
    """`highlighted`, `faded`, or nothing."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A frame around the nodes of one scope, or of what is repeated."""

    id: str
    label: str
    parent: str | None
    tooltip: str
    repeats: int = 1
    """How often what is in it ran; its nodes stand for all of these."""


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
    cut: bool = False
    """Whether calls are left out, not only folded."""
    theme: Theme = field(default_factory=lambda: Theme("plain"))
    width: float | None = None
    """The width of the page in inches; without it, the page is as large as the drawing."""
