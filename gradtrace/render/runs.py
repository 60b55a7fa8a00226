"""What a run is: repetitions of some calls that are drawn once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Carried", "Run", "common"]


@dataclass(frozen=True, slots=True, eq=False)
class Carried:
    """A value that each repetition hands to the next."""

    tail: str
    head: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """Repetitions of some calls, drawn as the first of them."""

    index: int
    count: int
    calls: int
    """Calls of one repetition."""
    scope: str
    """The innermost scope that holds all repetitions."""
    numbers: tuple[str, str]
    """The first and the last of the numbered scopes in it; empty in a recurrence."""
    carried: tuple[Carried, ...]
    """What the steps of a recurrence hand on; nothing for blocks, each of which has its own
    parameters."""

    @property
    def label(self) -> str:
        """What stands at its frame.

        >>> Run(0, 12, 5, "encoder.layer", ("0", "11"), ()).label
        'layer.0 … 11  × 12'
        >>> Run(0, 50, 2, "cell", ("", ""), (Carried("h", "tanh", {}),)).label
        '× 50 steps'
        """
        if not self.numbers[0]:
            return f"× {self.count:,}" + (" steps" if self.carried else "")
        return f"{self.name}  × {self.count:,}"

    @property
    def name(self) -> str:
        """The numbered scopes in short."""
        last = self.scope.rpartition(".")[2]
        first = f"{last}.{self.numbers[0]}" if last else self.numbers[0]
        return f"{first} … {self.numbers[1]}" if self.numbers[0] else last


def common(scopes: Iterable[str]) -> str:
    """Return the innermost scope that holds all of `scopes`.

    >>> common(["net.0.fc", "net.0.act"])
    'net.0'
    """
    shared: list[str] | None = None
    for scope in scopes:
        parts = scope.split(".") if scope else []
        if shared is None:
            shared = parts
        else:
            ends = [one == other for one, other in zip(shared, parts, strict=False)]
            shared = shared[: ends.index(False) if False in ends else len(ends)]
    return ".".join(shared or [])
