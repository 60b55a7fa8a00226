"""What is to be arranged: the boxes, labels and titles of a figure with their sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gradtrace.render.parts import Cluster, Figure
from gradtrace_graphviz.scene import Area, around
from gradtrace_graphviz.skeleton import Placed, Size, is_twin

__all__ = ["PILE", "Sheet"]

PAD = 6.0
"""Room between a frame and what is in it, in points."""

PILE = 3.0
"""How far the frame of repetitions stands out under another."""

HEADROOM = 5.0
"""Room for the title of a frame besides its height."""


@dataclass
class Sheet:
    """A figure with the sizes of what is in it."""

    figure: Figure
    boxes: Mapping[str, Size]
    labels: Mapping[int, Size]
    """By the number of the arrow."""
    titles: Mapping[str, Size]

    def __post_init__(self) -> None:
        self.sideways = self.figure.direction in ("left", "right")
        self.parent = {cluster.id: cluster.parent for cluster in self.figure.clusters}
        self.home = {node.id: node.cluster for node in self.figure.nodes}

    def area(self, name: str, placed: Placed) -> Area:
        """Return the area of a box."""
        return around(placed.nodes[name], self.boxes[name])

    def label(self, index: int) -> tuple[int, Size]:
        """Return which label stands at an arrow or at that of its gradient, and its size."""
        for each in (index, index + 1):
            if each in self.labels and (each == index or is_twin(self.figure, each)):
                return each, self.labels[each]
        return index, (0.0, 0.0)

    def frames_at(self, frame: str | None) -> list[str]:
        """Return a frame and those around it, innermost first."""
        path = []
        while frame is not None:
            path.append(frame)
            frame = self.parent[frame]
        return path

    def border(self, cluster: Cluster) -> Area:
        """Return the room that a frame takes around what is in it: left, top, right and bottom."""
        under = PILE if cluster.repeats > 1 else 0.0
        return PAD, self.titles[cluster.id][1] + HEADROOM, PAD + under, PAD + under
