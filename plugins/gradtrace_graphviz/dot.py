"""A figure in the words of Graphviz: attributes, which become DOT text."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import graphviz

from gradtrace.render.parts import Cluster, Figure, FigureEdge, FigureNode, Theme
from gradtrace_graphviz.fonts import FONT
from gradtrace_graphviz.html import cluster_label, graph_label, node_label, node_size
from gradtrace_graphviz.ranks import AGAINST, Ranks

__all__ = [
    "EDGE_DEFAULTS",
    "NODE_DEFAULTS",
    "cluster_attributes",
    "edge_attributes",
    "graph_attributes",
    "in_order",
    "node_attributes",
    "to_dot",
]

RANKDIR = {"down": "TB", "up": "BT", "right": "LR", "left": "RL"}

SHAPE = {
    "rectangle": {"style": "filled"},
    "rounded": {"style": "rounded,filled"},
    "double": {"style": "rounded,filled", "peripheries": "2", "penwidth": "1.3"},
    "dashed": {"style": "dashed"},
}

NODE_DEFAULTS = {
    "shape": "box",
    "fixedsize": "true",
    "fontname": FONT,
    "penwidth": "1.1",
    "margin": "0",
}

EDGE_DEFAULTS = {
    "fontname": FONT,
    "fontsize": "8.5",
    "arrowsize": "0.55",
}


def to_dot(figure: Figure) -> str:
    """Return `figure` as DOT text, the same for the same figure."""
    graph = graphviz.Digraph(
        "gradtrace",
        graph_attr=graph_attributes(figure),
        node_attr=NODE_DEFAULTS,
        edge_attr=EDGE_DEFAULTS | {"fontcolor": figure.theme.grey},
    )
    ordered = replace(figure, edges=tuple(map(in_order, figure.edges)))
    ranks = Ranks.of(ordered)
    _fill(graph, None, _Contents(figure, ranks), depth=0)
    for edge, span in zip(ordered.edges, ranks.spans, strict=True):
        graph.edge(edge.tail, edge.head, **edge_attributes(edge, span))
    return str(graph.source)


def in_order(edge: FigureEdge) -> FigureEdge:
    """Return an arrow from the earlier box to the later one, as which it is laid out."""
    return replace(edge, tail=edge.head, head=edge.tail) if edge.kind in AGAINST else edge


class _Contents:
    """The nodes and frames directly in each frame."""

    def __init__(self, figure: Figure, ranks: Ranks) -> None:
        self.beside, self.theme = ranks.beside, figure.theme
        self.nodes: dict[str | None, list[FigureNode]] = defaultdict(list)
        self.clusters: dict[str | None, list[Cluster]] = defaultdict(list)
        for node in figure.nodes:
            self.nodes[node.cluster].append(node)
        for cluster in figure.clusters:
            self.clusters[cluster.parent].append(cluster)


def _fill(graph: graphviz.Digraph, frame: str | None, contents: _Contents, *, depth: int) -> None:
    """Write the nodes and frames in `frame` to `graph`."""
    for node in contents.nodes[frame]:
        graph.node(node.id, **node_attributes(node, contents.theme))
    for node in contents.nodes[frame]:
        if node.id in contents.beside:
            _put_beside(graph, node.id, contents.beside[node.id])
    for cluster in contents.clusters[frame]:
        with graph.subgraph(name=f"cluster_{cluster.id}") as inner:
            inner.attr(**cluster_attributes(cluster, depth, contents.theme))
            _fill(inner, cluster.id, contents, depth=depth + 1)


def _put_beside(graph: graphviz.Digraph, call: str, leaves: tuple[str, ...]) -> None:
    """Put the first leaf to the left of its call, and the second to the right."""
    with graph.subgraph() as rank:
        rank.attr(rank="same")
        for name in (leaves[0], call, *leaves[1:]):
            rank.node(name)
        for right in leaves[1:]:
            rank.edge(call, right, style="invis")


def graph_attributes(figure: Figure) -> dict[str, str]:
    """Return the attributes of the whole graph."""
    label = graph_label(figure)
    return {
        "rankdir": RANKDIR[figure.direction],
        "fontname": FONT,
        "nodesep": "0.25",
        "ranksep": "0.32",
        "pad": "0.2",
        "bgcolor": figure.theme.background or "transparent",
        "tooltip": tip(figure.title or "gradtrace"),
        **({"label": label, "labelloc": "t", "labeljust": "l"} if label else {}),
    }


def node_attributes(node: FigureNode, theme: Theme) -> dict[str, str]:
    """Return the attributes of a node, its size fixed in inches."""
    width, height = node_size(node)
    return {
        "label": node_label(node, theme),
        "width": f"{width / 72:.3f}",
        "height": f"{height / 72:.3f}",
        "color": node.look.line,
        "fillcolor": node.look.fill,
        "tooltip": tip(node.tooltip),
        **SHAPE[node.look.shape],
    }


def edge_attributes(edge: FigureEdge, span: int = 1) -> dict[str, str]:
    """Return the attributes of an edge that spans at least `span` ranks."""
    tooltip = tip(edge.tooltip)
    attributes = {"color": edge.colour, "penwidth": f"{edge.width:g}", "tooltip": tooltip}
    if edge.kind in AGAINST:
        attributes["dir"] = "back"
    if span > 1:
        attributes["minlen"] = f"{span}"
    if edge.line != "solid":
        attributes["style"] = edge.line
    if edge.label:
        attributes |= {"label": escaped(f"  {edge.label}  "), "labeltooltip": tooltip}
    return attributes


def cluster_attributes(cluster: Cluster, depth: int, theme: Theme) -> dict[str, str]:
    """Return the attributes of a frame that lies in `depth` others."""
    return {
        "label": cluster_label(cluster.label, theme),
        "labeljust": "l",
        "style": "rounded,filled",
        "color": theme.frame,
        "penwidth": "0.8",
        "fillcolor": theme.frames[depth % len(theme.frames)],
        "margin": "9",
        "tooltip": tip(cluster.tooltip),
    }


def escaped(content: str) -> str:
    r"""Return `content` so that Graphviz reads it as it is, without entities, escapes or HTML.

    >>> print(escaped(r"<b> &amp; \N"))
    <b> &amp;amp; \\N
    """
    literal: str = graphviz.escape(content.replace("&", "&amp;"))
    return literal


def tip(content: str) -> str:
    r"""Return `content` for a tooltip, whose escapes Graphviz replaces twice.

    >>> print(tip(r"\N"))
    \\\\N
    """
    literal: str = graphviz.escape(escaped(content))
    return literal
