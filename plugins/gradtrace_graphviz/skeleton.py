"""A figure as Graphviz lays it out: boxes of a size, without anything in them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from gradtrace.render.parts import Cluster, Figure, FigureEdge
from gradtrace_graphviz.layout import lay_out
from gradtrace_graphviz.ranks import AGAINST, Ranks, runs_aside
from gradtrace_graphviz.scene import Area, Point

__all__ = ["Placed", "Size", "is_twin", "ordering", "place"]

RANKDIR = {"down": "TB", "up": "BT", "right": "LR", "left": "RL"}

Size = tuple[float, float]


@dataclass(slots=True)
class Placed:
    """Where everything of a figure is, in points, y downwards."""

    nodes: dict[str, Point]
    """Centres."""
    edges: dict[int, tuple[Point, ...]]
    """Points of cubic curves, from tail to head; none for an arrow that was not laid out."""
    labels: dict[int, Point]
    """Centres."""
    frames: dict[str, Area]


def place(
    figure: Figure,
    sizes: Mapping[str, Size],
    labels: Mapping[int, Size],
    titles: Mapping[str, Size],
    *,
    gaps: Size,
    without: frozenset[int] = frozenset(),
    apart: frozenset[str] = frozenset(),
) -> Placed:
    """Lay out `figure`, with the sizes of its boxes, of the labels of its arrows and frames.

    The arrows `without` have no part in it, nor have those of gradients beside arrows of values.
    The leaves `apart` do not stand beside their call.
    """
    ranks = Ranks.of(replace(figure, edges=tuple(ordering(figure).values())), apart=apart)
    source = "\n".join(_lines(figure, sizes, labels, titles, gaps, without=without, ranks=ranks))
    return _read(json.loads(lay_out(source, "json0")))


def _lines(
    figure: Figure,
    sizes: Mapping[str, Size],
    labels: Mapping[int, Size],
    titles: Mapping[str, Size],
    gaps: Size,
    *,
    without: frozenset[int],
    ranks: Ranks,
) -> Iterator[str]:
    yield "digraph {"
    yield f"rankdir={RANKDIR[figure.direction]}"
    yield f"nodesep={gaps[0] / 72:.3f} ranksep={gaps[1] / 72:.3f}"
    yield 'node [shape=box fixedsize=true label=""] edge [arrowsize=0.5]'
    yield from _frame(figure, None, sizes, titles, ranks)
    spans = dict(zip(ordering(figure), ranks.spans, strict=True))
    for index, edge in enumerate(figure.edges):
        if index not in without and not is_twin(figure, index):
            yield _edge(index, edge, labels.get(index), spans.get(index, 1))
    yield "}"


def ordering(figure: Figure) -> dict[int, FigureEdge]:
    """Return the arrows that order the boxes by their number, each from the earlier box."""
    return {
        index: replace(edge, tail=edge.head, head=edge.tail) if edge.kind == "gradient" else edge
        for index, edge in enumerate(figure.edges)
        if "carried" not in (edge.kind, edge.against) and not is_twin(figure, index)
    }


def is_twin(figure: Figure, index: int) -> bool:
    """Tell whether an arrow is that of the gradient beside an arrow of a value."""
    edge, before = figure.edges[index], figure.edges[index - 1]
    both = (edge.tail, edge.head) == (before.head, before.tail)
    return index > 0 and edge.kind == "gradient" and before.kind != "gradient" and both


def _edge(index: int, edge: FigureEdge, label: Size | None, span: int) -> str:
    """Return an arrow; one against the order is laid out from its head."""
    attributes = {"id": str(index)}
    tail, head = edge.tail, edge.head
    if edge.kind in AGAINST:
        tail, head = head, tail
        attributes["dir"] = "back"
    if runs_aside(edge):
        attributes["weight"] = "0"
    if span > 1:
        attributes["minlen"] = f"{span}"
    if label:
        attributes["label"] = _blank(label)
    return f"{tail} -> {head} [{_written(attributes)}]"


def _frame(
    figure: Figure,
    frame: str | None,
    sizes: Mapping[str, Size],
    titles: Mapping[str, Size],
    ranks: Ranks,
) -> Iterator[str]:
    """Yield the boxes in a frame, then the frames in it."""
    children: dict[str | None, list[Cluster]] = defaultdict(list)
    for cluster in figure.clusters:
        children[cluster.parent].append(cluster)
    inside = [node.id for node in figure.nodes if node.cluster == frame]
    for name in inside:
        wide, high = sizes[name]
        yield f"{name} [width={wide / 72:.4f} height={high / 72:.4f}]"
    for name in inside:
        if name in ranks.beside:
            leaves = ranks.beside[name]
            yield f"{{rank=same {leaves[0]} {name} {' '.join(leaves[1:])}}}"
            yield from (f"{name} -> {right} [style=invis]" for right in leaves[1:])
    for cluster in children[frame]:
        yield f"subgraph cluster_{cluster.id} {{"
        yield f"label={_blank(titles[cluster.id])} labeljust=l margin=7"
        yield from _frame(figure, cluster.id, sizes, titles, ranks)
        yield "}"


def _blank(size: Size) -> str:
    """Return a label of a size with nothing in it."""
    room = f'FIXEDSIZE="TRUE" WIDTH="{size[0]:.0f}" HEIGHT="{size[1]:.0f}"'
    return f'<<TABLE BORDER="0" CELLBORDER="0" CELLPADDING="0" {room}><TR><TD></TD></TR></TABLE>>'


def _written(attributes: Mapping[str, str]) -> str:
    return " ".join(f"{name}={value}" for name, value in attributes.items())


def _read(layout: Mapping[str, Any]) -> Placed:
    """Return the places in what Graphviz wrote, where y runs upwards."""
    high = float(layout["bb"].split(",")[3])

    def point(text: str) -> Point:
        x, y = text.split(",")[-2:]
        return float(x), high - float(y)

    boxes = [each for each in layout.get("objects", ()) if "pos" in each]
    nodes = {each["name"]: point(each["pos"]) for each in boxes}
    edges, labels = {}, {}
    for each in layout.get("edges", ()):
        if "id" not in each or "pos" not in each:
            continue
        index = int(each["id"])
        edges[index] = _curve(each["pos"], point)
        if "lp" in each:
            labels[index] = point(each["lp"])
    return Placed(nodes, edges, labels, {})


def _curve(text: str, point: Any) -> tuple[Point, ...]:
    """Return the points of an arrow from tail to head, its point at last."""
    pieces = text.split()
    end = next((point(each) for each in pieces if each.startswith("e,")), None)
    start = next((point(each) for each in pieces if each.startswith("s,")), None)
    points = [point(each) for each in pieces if each[0] not in "es"]
    if start is not None:
        points = [*points[::-1], start]
    elif end is not None:
        points.append(end)
    return tuple(points)
