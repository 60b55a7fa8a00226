"""What a drawing is made of: boxes, with the arrows between them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gradtrace.render.scopes import Place

__all__ = ["LEAVES", "Arrow", "Box", "Drawing", "folded_calls", "place_of"]

LEAVES = ("input", "parameter", "buffer", "constant")


@dataclass(frozen=True, slots=True)
class Box:
    """One box: a node, one use of a leaf, or a stand-in for what is not drawn."""

    node: str | None
    data: Mapping[str, Any]
    place: Place
    use: tuple[int, int] | None = None
    """Which use of how many this box stands for, of a leaf drawn once per use."""
    text: str = ""
    """What a stand-in stands for."""
    hidden: int = 0
    """Leaves of a fold that are not drawn."""

    @property
    def folded(self) -> int:
        """Number of calls in a fold; 0 for a box that is none."""
        return folded_calls(self.data)


@dataclass(frozen=True, slots=True)
class Arrow:
    """One arrow between two boxes, given by their numbers."""

    tail: int
    head: int
    data: Mapping[str, Any] | None
    """Attributes of the edge, of the one with the largest gradient if of several; None at a
    stand-in."""
    uses: int = 1
    """How many edges the arrow stands for."""
    carried: bool = False
    """Whether it runs to the next repetition, against the order of the boxes."""


@dataclass
class Drawing:
    """Boxes and arrows, with the effort of laying them out."""

    boxes: list[Box] = field(default_factory=list)
    arrows: list[Arrow] = field(default_factory=list)
    cut: bool = False
    """Whether calls are left out."""

    @property
    def effort(self) -> int:
        """Number of places that a layered layout must order: boxes, and arrows at each layer."""
        layer = self.layers()
        passed = sum(max(0, layer[arrow.head] - layer[arrow.tail]) for arrow in self.arrows)
        return len(self.boxes) + passed

    def layers(self) -> list[int]:
        """Return the layer of each box: below its operands, and leaves just above their use."""
        tails: dict[int, list[int]] = defaultdict(list)
        forward = [arrow for arrow in self.arrows if not arrow.carried]
        for arrow in forward:
            tails[arrow.head].append(arrow.tail)
        layer = [0] * len(self.boxes)
        for head in range(len(self.boxes)):
            layer[head] = 1 + max((layer[tail] for tail in tails[head]), default=-1)
        first = [len(self.boxes)] * len(self.boxes)
        for arrow in forward:
            first[arrow.tail] = min(first[arrow.tail], layer[arrow.head])
        for box in range(len(self.boxes)):
            if not tails[box] and first[box] < len(self.boxes):
                layer[box] = first[box] - 1
        return layer


def folded_calls(data: Mapping[str, Any]) -> int:
    """Return how many calls are folded into a node: 0 where there is but one, which is itself."""
    calls = data.get("folded") or 0
    return calls if calls > 1 else 0


def place_of(data: Mapping[str, Any]) -> Place:
    """Return where a call belongs: in the frame of its scope, a folded scope in the one around."""
    scope = data["scope"]
    if data.get("folded"):
        scope = scope.rpartition(".")[0]
    return Place(scope, tuple(data["invocations"]), data.get("run"))
