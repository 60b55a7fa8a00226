"""A figure as a Mermaid flowchart, which code hosts and notebooks draw from its text."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator

from gradtrace.render.parts import Cluster, Figure, FigureEdge, FigureNode, Look, Row

__all__ = ["write"]

DIRECTION = {"down": "TB", "up": "BT", "right": "LR", "left": "RL"}

SHAPES = {"rectangle": '["{}"]', "rounded": '("{}")', "double": '[["{}"]]', "dashed": '["{}"]'}

ARROWS = {"solid": "-->", "dashed": "-.->", "dotted": "-.->"}

SAFE = re.compile(r"(?!(?<=\d)\.\d)[^\w ,()/=+×‖·…–√∂]")
"""What is written as a number, so that it is no Markdown, HTML or directive."""


JOINER = "\u2060"
"""Keeps apart, unseen, what Mermaid reads as a line break or as mathematics even so."""


def write(figure: Figure) -> str:
    """Return `figure` as a Mermaid flowchart.

    >>> print(write(Figure((), (), ())))
    flowchart TB
    <BLANKLINE>
    """
    lines = [] if figure.title is None else ["---", f"title: {_quoted(figure.title)}", "---"]
    lines.append(f"flowchart {DIRECTION[figure.direction]}")
    lines += [f"  {line}" for line in _contents(figure)]
    lines += [f"  {_arrow(edge)}" for edge in figure.edges]
    looks = {node.look.role: node.look for node in figure.nodes}
    lines += [f"  {_class(look, figure.theme.ink)}" for look in looks.values()]
    for role in looks:
        members = ",".join(node.id for node in figure.nodes if node.look.role == role)
        lines.append(f"  class {members} is_{role};")
    lines += [f"  {line}" for line in _frame_styles(figure)]
    lines += [f"  {_marks(node, figure.theme.accent)}" for node in figure.nodes if node.emphasis]
    lines += [f"  {_link_style(at, edge)}" for at, edge in enumerate(figure.edges)]
    if figure.note:
        lines.append(f"  %% {figure.note}")
    return "\n".join(lines) + "\n"


def _contents(figure: Figure) -> Iterator[str]:
    """Yield the boxes, those of a scope inside its frame."""
    nodes: dict[str | None, list[FigureNode]] = defaultdict(list)
    clusters: dict[str | None, list[Cluster]] = defaultdict(list)
    for node in figure.nodes:
        nodes[node.cluster].append(node)
    for cluster in figure.clusters:
        clusters[cluster.parent].append(cluster)

    def within(frame: str | None, indent: str) -> Iterator[str]:
        for node in nodes[frame]:
            yield f"{indent}{_box(node)}"
        for cluster in clusters[frame]:
            yield f'{indent}subgraph {cluster.id} ["{escaped(cluster.label)}"]'
            yield from within(cluster.id, f"{indent}  ")
            yield f"{indent}end"

    yield from within(None, "")


def _box(node: FigureNode) -> str:
    label = "<br/>".join(_line(row) for row in node.rows)
    return node.id + SHAPES[node.look.shape].format(label)


def _line(row: Row) -> str:
    return escaped(f"{row.caption} {row.text}" if row.caption else row.text)


def _arrow(edge: FigureEdge) -> str:
    label = f'|"{escaped(edge.label)}"|' if edge.label else ""
    return f"{edge.tail} {ARROWS[edge.line]}{label} {edge.head}"


def _class(look: Look, ink: str) -> str:
    """Return the style of a role; `call` alone would be a word of Mermaid's own."""
    dashes = ",stroke-dasharray:4 3" if look.shape == "dashed" else ""
    return f"classDef is_{look.role} fill:{look.fill},stroke:{look.line},color:{ink}{dashes};"


def _frame_styles(figure: Figure) -> Iterator[str]:
    """Yield the style of each frame, its fill by its depth."""
    theme = figure.theme
    depths: dict[str | None, int] = {None: -1}
    for cluster in figure.clusters:
        depth = depths[cluster.id] = depths[cluster.parent] + 1
        fill = theme.frames[depth % len(theme.frames)]
        yield f"style {cluster.id} fill:{fill},stroke:{theme.frame},color:{theme.grey}"


def _marks(node: FigureNode, accent: str) -> str:
    mark = f"stroke:{accent},stroke-width:3px" if node.emphasis == "highlighted" else "opacity:0.35"
    return f"style {node.id} {mark}"


def _link_style(index: int, edge: FigureEdge) -> str:
    faded = ",opacity:0.35" if edge.emphasis == "faded" else ""
    return f"linkStyle {index} stroke:{edge.colour},stroke-width:{edge.width:g}px{faded}"


def escaped(text: str) -> str:
    """Return `text` for a label in quotes, with what Mermaid might read otherwise as numbers.

    >>> escaped('<b> "a" %%{ 0.5')
    '#60;b#62; #34;a#34; #37;#37;#123; 0.5'
    """
    apart = text.replace("\\n", f"\\{JOINER}n").replace("$$", f"${JOINER}$")
    return SAFE.sub(lambda found: f"#{ord(found[0])};", apart)


def _quoted(text: str) -> str:
    r"""Return `text` as a YAML text in quotes, without `<`, at which Mermaid cuts titles off.

    >>> _quoted('y = "x"')
    '"y = \\"x\\""'
    """
    inner = text.replace("\\", "\\\\").replace('"', '\\"').replace("<", "\uff1c")
    return f'"{inner}"'
