"""The run while it is running: values, their uses and the calls between them.

These records are made inside the training step: what most of them share is a class attribute,
so that making one sets little.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor
from torch.autograd.graph import Node
from torch.utils.hooks import RemovableHandle

from gradtrace.derivative import LocalDerivative
from gradtrace_torch.ops import Path
from gradtrace_torch.readings import Reading
from gradtrace_torch.sources import Place

if TYPE_CHECKING:
    from gradtrace_torch.replay import Memory

__all__ = [
    "Arrivals",
    "Departures",
    "Edge",
    "Gradient",
    "LiveCall",
    "LiveUse",
    "LiveValue",
    "Results",
    "Slots",
]

Edge = tuple[Any, int]
"""An autograd node and one of its outputs in the forward pass: where a gradient arrives."""


class Gradient(Reading):
    """A gradient that a backward pass brought, with what tells it from another."""

    held: Tensor | None = None
    """The gradient itself, where a later pass may add to it."""
    held_version = 0
    lost = False
    """Whether a later pass brought more than could be added."""

    def __init__(self, serial: int, adds: bool) -> None:
        self.serial = serial
        """The pass that brought it."""
        self.adds = adds
        """Whether it came in a `backward()`, which adds to `.grad`."""

    def hold(self, tensor: Tensor) -> None:
        """Keep the tensor, for a later pass may add to it."""
        self.held = tensor
        self.held_version = tensor._version


class LiveValue(Reading):
    """One tensor of the run, known by its place in autograd's graph, not by holding it."""

    call: LiveCall | None = None
    edge: Edge | None = None
    differentiable = False
    """Whether it has, or had until it was released, an edge in autograd's graph."""
    seed: Gradient | None = None
    watched = False
    """Whether the gradient can change on its way: a hook of the user's is on the tensor."""
    hooked = False
    """Whether a hook of the user's is on an autograd node that its gradient comes by."""
    note: str | None = None
    is_leaf = False
    unseen = False
    """Whether its tensor was never at hand, only its place in autograd's graph."""
    handle: RemovableHandle | None = None
    kind = ""
    names: tuple[str, ...] = ()
    op: str | None = None
    place: Place | None = None

    def __init__(self) -> None:
        self.uses: list[LiveUse] = []
        """The uses through which a gradient comes back."""
        self.gradient: Gradient | None = None
        self.start = None  # what is set late is set here too, else the instance gets a dict


class LiveUse:
    """One use of a value as an operand, with the autograd slots its gradient comes back through."""

    slots: tuple[tuple[Node, int], ...] = ()
    slot_count = 0
    """How many slots its gradient comes back through; it outlives the slots, which hold nodes."""
    partial: Tensor | None = None
    """What has come through some of the slots, or in a shape that autograd has yet to reduce."""
    remaining = 0
    """How many slots are still to come."""
    gradient: Gradient | None = None
    derivative: LocalDerivative | None = None

    also: tuple[Path, ...] = ()
    """Further positions of the same value, where autograd does not tell them apart."""

    def __init__(self, value: LiveValue, path: Path) -> None:
        self.value = value
        self.path = path

    def flow_through(self, slots: tuple[tuple[Node, int], ...]) -> None:
        """Let the gradient of the value come back through `slots`."""
        self.slots = slots
        self.slot_count = len(slots)
        self.value.uses.append(self)


class LiveCall:
    """One application of an operation, with the autograd nodes it made."""

    nodes: Sequence[Node] = ()
    handles: tuple[RemovableHandle, ...] = ()
    memory: Memory | None = None

    def __init__(
        self,
        op: str,
        scope: str,
        invocations: tuple[int, ...],
        place: Place | None,
        uses: list[LiveUse],
        function: Callable[..., Any] | None = None,
    ) -> None:
        self.op = op
        self.function = function
        self.scope = scope
        self.invocations = invocations
        self.place = place
        self.uses = uses
        self.results: list[LiveValue] = []


Results = Sequence[LiveValue | None]
"""What arrives at a node: a value for each of its outputs, None where nobody knows one."""

Slots = Sequence[LiveUse | None]
"""What departs from a node: a use for each of its slots, None where nobody knows one."""

Arrivals = Sequence[Tensor | None]
"""Upstream gradients of a node, one for each of its outputs."""

Departures = Sequence[Tensor | None]
"""Downstream gradients of a node, one for each of its slots."""
