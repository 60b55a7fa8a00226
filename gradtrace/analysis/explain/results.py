"""What an explanation holds."""

from __future__ import annotations

from dataclasses import dataclass

from gradtrace.summary import Summary
from gradtrace.tape import Source

__all__ = ["Factor", "Meaning", "Note", "Path", "Rest", "Written"]


@dataclass(frozen=True, slots=True)
class Written:
    """A piece of mathematics, as text and in LaTeX."""

    text: str
    latex: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Factor:
    """One factor of the chain rule: ∂result/∂operand."""

    result: str
    operand: str
    name: Written
    """Such as ∂y/∂h."""
    formula: Written | None
    """The derivative of a number, or what becomes of the gradient δ that comes to a tensor."""
    sizes: str
    value: float | None
    """The derivative of a number by a number."""
    structure: str
    norm: float | None
    estimated: bool
    gain: float | None
    share: float | None
    """Which part of the operand's gradient came back along it, by norm; 1 where it is used once."""
    passes: tuple[str, ...] = ()
    """Nodes in between, which pass the gradient on unchanged."""


@dataclass(frozen=True, slots=True)
class Path:
    """One way back from an output to the target: a product."""

    nodes: tuple[str, ...]
    """From the output to the target."""
    factors: tuple[Factor, ...]
    equation: Written | None
    """All factors as one formula, where it is short enough to be read."""
    contribution: Summary | None
    """What comes to the target along this path, where every factor is known."""
    share: float | None
    """Its part of the whole; the shares of all paths add to 1."""
    exact: bool
    """Whether the share is that of the contribution, not a product of shares at fan-outs."""


@dataclass(frozen=True, slots=True)
class Rest:
    """All paths that are not shown one by one."""

    count: int
    contribution: Summary | None
    share: float | None


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a symbol stands for."""

    symbol: Written
    node: str
    kind: str
    op: str | None
    scope: str
    source: Source | None
    value: Summary | None


@dataclass(frozen=True, slots=True)
class Note:
    """What is to be known to read a formula."""

    formula: Written
    meaning: Written
