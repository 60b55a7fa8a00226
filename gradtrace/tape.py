"""The framework-free record of one run, in order.

A backend fills a tape; `gradtrace.graph` makes the graph from it. Everything a backend has to
know of gradtrace is on this page, in `summary` and in `derivative`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy.typing as npt

from gradtrace.derivative import LocalDerivative
from gradtrace.summary import Summary

__all__ = [
    "KINDS",
    "Call",
    "EdgeRecord",
    "Leaf",
    "NodeRecord",
    "Options",
    "Replay",
    "Source",
    "Tape",
    "Use",
    "Value",
]

KINDS = ("input", "parameter", "buffer", "constant", "call", "item")


NodeRecord = tuple[str, dict[str, Any]]
"""Id and attributes of a node of the graph."""

EdgeRecord = tuple[str, str, int, dict[str, Any]]
"""Ids of operand and result, index and attributes of an edge of the graph."""


Replay = Callable[[Sequence[npt.NDArray[Any]]], list[npt.NDArray[Any]]]
"""From the operands of a call, in float64 where they are real numbers, to its results."""


class Source(NamedTuple):
    """The user's line that made a node."""

    file: str
    line: int
    function: str


@dataclass(frozen=True, slots=True)
class Options:
    """What a backend is asked to record; see `gradtrace.trace`."""

    keep: str
    derivatives: str
    detail: str
    limit: int


@dataclass(slots=True, eq=False)
class Value:
    """One tensor of the run: a leaf, or one result of a call."""

    summary: Summary | None = None
    upstream: Summary | None = None
    seed: Summary | None = None
    """The upstream gradient given here as an output of the backward pass."""
    differentiable: bool = False
    """Whether a gradient can flow back to it."""
    note: str | None = None
    """Why something about it could not be recorded."""


@dataclass(slots=True, eq=False)
class Use:
    """One use of a value as an operand of a call."""

    operand: str
    value: Value
    derivative: LocalDerivative | None = None
    downstream: Summary | None = None


@dataclass(slots=True, eq=False)
class Leaf:
    """A value that no call of the run made."""

    kind: str
    names: tuple[str, ...]
    value: Value
    op: str | None = None
    """For a constant, the operation that made it."""
    source: Source | None = None


@dataclass(slots=True, eq=False)
class Call:
    """One application of an operation."""

    op: str
    results: list[Value]
    uses: list[Use]
    scope: str = ""
    invocations: tuple[int, ...] = ()
    """Serial numbers of the module invocations around the call, outermost first."""
    source: Source | None = None
    replay: Replay | str | None = None
    """Its function, to be run again on other operands, or why that cannot be done."""


@dataclass(slots=True)
class Tape:
    """One run: leaves and calls in the order in which they came to be."""

    steps: list[Leaf | Call] = field(default_factory=list)
    backend: str = ""
    gradients: bool = False
    """Whether a backward pass ran."""
    parameters: dict[str, bool] = field(default_factory=dict)
    """Every parameter of the model by name, used or not, with whether it asks for a gradient."""
    _later: Callable[[], list[Leaf | Call]] | None = None

    def defer(self, later: Callable[[], list[Leaf | Call]]) -> None:
        """Let `later` return the steps, once somebody reads them.

        What it needs must be safe by then: the user goes on as soon as the block ends.
        """
        self._later = later

    @property
    def recorded(self) -> bool:
        """Whether anything is on the tape."""
        return bool(self.steps) or self._later is not None

    def relevant(self) -> list[Leaf | Call]:
        """Return the steps that belong in the graph.

        A call without gradient belongs there if what it made is used, at last, by a call with
        one; in a run without backward pass every call does. A leaf belongs there if it is used.
        """
        if self._later is not None:
            self.steps, self._later = self._later(), None
        needed: set[int] = set()
        kept: list[Leaf | Call] = []
        for step in reversed(self.steps):
            results = [step.value] if isinstance(step, Leaf) else step.results
            wanted = any(id(result) in needed for result in results)
            wanted = wanted or any(v.seed or v.upstream for v in results)
            if isinstance(step, Call) and not wanted:
                wanted = not self.gradients or any(result.differentiable for result in results)
            if wanted:
                kept.append(step)
                if isinstance(step, Call):
                    needed.update(id(use.value) for use in step.uses)
        kept.reverse()
        return kept
