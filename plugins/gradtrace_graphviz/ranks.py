"""How the boxes of a figure stand to one another, so that values flow in a straight line.

Graphviz puts every operand one rank above its call. In a frame that would push the frame aside
of what it continues, a step to the right with every layer. So leaves stand beside their call.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass

from gradtrace.render.parts import Figure, FigureEdge

__all__ = ["AGAINST", "Ranks", "runs_aside"]

AGAINST = ("carried", "gradient")
"""Arrows that run against the order of the boxes."""

SIDES = 2
"""Leaves that find room beside a call, parameters first: one to the left, one to the right."""


def runs_aside(edge: FigureEdge) -> bool:
    """Tell whether an arrow runs beside what lies between its ends."""
    return (edge.against or edge.kind) in ("skip", "carried")


@dataclass(frozen=True, slots=True)
class Ranks:
    """Which leaves stand beside their call, and how many ranks each edge spans at least."""

    beside: dict[str, tuple[str, ...]]
    spans: tuple[int, ...]

    @classmethod
    def of(cls, figure: Figure, *, apart: frozenset[str] = frozenset()) -> Ranks:
        """Return the ranks of `figure`, whose leaves `apart` stand above their call."""
        leaves = _own_leaves(figure) - apart
        operands: dict[str, list[str]] = defaultdict(list)
        for edge in figure.edges:
            operands[edge.head].append(edge.tail)
        role = {node.id: node.look.role for node in figure.nodes}
        beside: dict[str, tuple[str, ...]] = {}
        crowded: set[str] = set()
        for head, tails in operands.items():
            own = [tail for tail in tails if tail in leaves]
            if len(own) == len(tails):
                own = own[1:]
            own.sort(key=lambda leaf: role[leaf] != "parameter")
            if own:
                beside[head] = tuple(own[:SIDES])
            if len(own) > SIDES:
                crowded.add(head)
        frame = {node.id: node.cluster for node in figure.nodes}
        spans = tuple(
            1 + (edge.head in crowded and frame[edge.tail] != frame[edge.head])
            for edge in figure.edges
        )
        return cls(beside, spans)


def _own_leaves(figure: Figure) -> set[str]:
    """Return the boxes without operands that have one use, in the frame of that use."""
    frame = {node.id: node.cluster for node in figure.nodes}
    heads = {edge.head for edge in figure.edges}
    uses = Counter(edge.tail for edge in figure.edges)
    return {
        edge.tail
        for edge in figure.edges
        if edge.tail not in heads and uses[edge.tail] == 1 and frame[edge.tail] == frame[edge.head]
    }
