"""What a graph looks like as a figure, whatever the format it is drawn in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import networkx as nx

from gradtrace.errors import require_choice
from gradtrace.render.boxes import CROWD, PARALLEL
from gradtrace.render.convex import convex
from gradtrace.render.focus import focused, highlighted, visible_part
from gradtrace.render.fold import ADVICE, LIMIT_NODES, fold
from gradtrace.render.grids import node_grids
from gradtrace.render.labels import node_rows, node_tooltip, summaries
from gradtrace.render.legend import legend_of
from gradtrace.render.mathematics import Formulas
from gradtrace.render.numbers import printable
from gradtrace.render.options import (
    DIRECTIONS,
    PASSES,
    limit_of,
    page_width,
    require_count,
    shown,
)
from gradtrace.render.parts import Figure, FigureNode, Look, Row, Theme
from gradtrace.render.pieces import Box, Drawing
from gradtrace.render.scopes import Frames, reaches
from gradtrace.render.strokes import Strokes
from gradtrace.render.themes import find_theme, look

__all__ = ["DIRECTIONS", "figure"]

HIDDEN = {"forward": "upstream_gradients", "backward": "values"}
"""What is not shown of one pass alone."""


def figure(
    graph: nx.MultiDiGraph[str],
    *,
    depth: int | None = None,
    direction: str = "down",
    focus: str | None = None,
    fold_repeats: bool | None = None,
    highlight: str | Iterable[str] | None = None,
    legend: bool = True,
    limit_nodes: int | None = None,
    math: bool = False,
    passes: str = "overlaid",
    show: str | Iterable[str] | None = None,
    theme: str | Theme = "paper",
    title: str | None = None,
    width: str | float | None = None,
) -> Figure:
    """Return the figure of `graph`.

    Args:
        graph: The graph to draw.
        depth: At which scopes to fold: 1 folds the outermost. Without it, nothing is folded
            that fits into the figure.
        direction: Where values flow: `"down"`, `"up"`, `"right"` or `"left"`.
        focus: A scope, or a node, to which the figure is restricted, with what is next to it.
        fold_repeats: Whether blocks that are repeated, and the steps of a recurrence, are drawn
            once, with first, last and range of their numbers. None does it where the figure is
            too large otherwise.
        highlight: A node, which is pointed out with all that was computed of it, or several
            nodes, which are pointed out as a path. The rest fades.
        legend: Whether shapes, colours and widths are explained.
        limit_nodes: Boxes above which the figure is folded further, and cut at last; 200 unless
            told, fewer on a page.
        math: Whether nodes and edges carry their formulas, which are typeset where a format can.
        passes: `"forward"` draws how values flow, `"backward"` how gradients come back, `"both"`
            an arrow for each; `"overlaid"` gives the arrows of values the colours and widths of
            the gradients that come back along them.
        show: What is shown: any of `"values"`, `"shapes"`, `"local_derivatives"`,
            `"upstream_gradients"`, `"gains"`, `"parameters"` (and buffers and constants),
            `"undifferentiated"` (calls that no gradient can pass, such as those that make masks
            and positions), and `"grids"` (images of small tensors and Jacobians). Unless told,
            all but the last, and where `width` is given, without parameters, undifferentiated
            calls, and gradients if no backward pass ran.
        theme: `"paper"`, `"grayscale"`, `"slides"`, `"dark"`, the name of a plugin's theme, or a
            `Theme`.
        title: What is written above.
        width: The width of the page: `"column"`, `"text"`, or inches. Text is set at 6 points at
            least.

    A leaf whose uses lie far apart is drawn at each use. Raises `OptionError` for an option
    value that is not allowed.
    """
    require_choice("direction", direction, DIRECTIONS)
    require_choice("legend", legend, (True, False))
    require_choice("fold_repeats", fold_repeats, (True, False, None))
    require_choice("math", math, (True, False))
    require_choice("passes", passes, PASSES)
    require_count("depth", depth, optional=True)
    page = page_width(width)
    limit = limit_of(limit_nodes, page, usual=LIMIT_NODES)
    visible = shown(show, page) - {HIDDEN.get(passes, "")}
    forward = page is not None and not graph.graph.get("gradients", True)
    if forward and show is None and passes == "overlaid":
        passes, visible = "forward", visible - {"upstream_gradients", "gains"}
    colours = find_theme(theme)
    lit = highlighted(graph, highlight)
    seen = focused(graph, focus)
    seen = visible_part(seen, visible)
    drawn, drawing, note = fold(
        seen,
        depth=depth,
        limit=limit,
        repeats=fold_repeats,
        crowd=CROWD if page is None else max(2, int(page)),
        parallel=PARALLEL if page is None else 1,
    )
    dtype = _usual_dtype(drawn) if "shapes" in visible else None
    reach = reaches(data for _, data in drawn.nodes(data=True))
    frames = convex(
        Frames.around([box.place for box in drawing.boxes], reach),
        ((arrow.tail, arrow.head) for arrow in drawing.arrows if not arrow.carried),
    )
    formulas = Formulas(drawn, graph) if math else None
    node_lit, edge_lit = _emphasis(drawing, lit)
    nodes = tuple(
        FigureNode(
            id=f"n{index}",
            node=box.node,
            look=_look(box, colours),
            rows=_rows(box, frames.scopes[frame], dtype, visible, formulas),
            cluster=frame,
            tooltip=node_tooltip(box),
            grids=node_grids(box.data, colours) if "grids" in visible and box.node else (),
            emphasis=emphasis,
        )
        for index, (box, frame, emphasis) in enumerate(
            zip(drawing.boxes, frames.members, node_lit, strict=True)
        )
    )
    strokes = Strokes.of(drawing, theme=colours, passes=passes, show=visible, formulas=formulas)
    edges = tuple(strokes.edges(edge_lit))
    return Figure(
        nodes=nodes,
        edges=edges,
        clusters=frames.clusters,
        direction=direction,
        title=None if title is None else printable(title),
        legend=legend_of(nodes, edges, strokes, dtype) if legend else None,
        note=_note(note, page, forward=forward),
        theme=colours,
        cut=drawing.cut,
        width=page,
    )


def _note(note: str | None, page: float | None, *, forward: bool) -> str | None:
    """Return what is said below a figure; on a page, without advice for the one who draws it."""
    if page is None:
        return note
    told = [note.removesuffix(ADVICE)] if note else []
    told += ["No backward pass ran."] if forward else []
    return " ".join(told) or None


def _rows(
    box: Box, scope: str, dtype: str | None, show: frozenset[str], formulas: Formulas | None
) -> tuple[Row, ...]:
    """Return the label of a box, its formula below its name."""
    rows = node_rows(box, scope=scope, dtype=dtype, show=show)
    if formulas is None or box.node is None:
        return rows
    text, latex = formulas.node(box.node)
    return rows[0], Row(text, "formula", latex=latex), *rows[1:]


def _look(box: Box, theme: Theme) -> Look:
    """Return the look of a box: an output first of all, then a fold, then its kind."""
    if box.node is None:
        return look(theme, "elided")
    if box.data["seed"] is not None:
        return look(theme, "output")
    return look(theme, "fold" if box.folded else box.data["kind"])


def _emphasis(
    drawing: Drawing, lit: tuple[set[str], set[tuple[str, str]]]
) -> tuple[list[str], list[str]]:
    """Return the emphasis of each box and of each arrow."""
    nodes, edges = lit
    if not nodes:
        return [""] * len(drawing.boxes), [""] * len(drawing.arrows)
    marks = {True: "highlighted", False: "faded"}
    names = [box.node for box in drawing.boxes]
    ends = [(names[arrow.tail], names[arrow.head]) for arrow in drawing.arrows]
    return [marks[name in nodes] for name in names], [marks[pair in edges] for pair in ends]


def _usual_dtype(graph: nx.MultiDiGraph[str]) -> str | None:
    """Return the type that most values have; boxes name only other ones."""
    types = Counter(
        summary.dtype
        for _, value in graph.nodes(data="value")
        for summary in summaries(value)
        if summary is not None
    )
    return max(types, key=lambda dtype: (types[dtype], dtype)) if types else None
