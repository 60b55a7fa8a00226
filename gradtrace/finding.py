"""What a rule reports, of a graph or of a training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gradtrace.tape import Source

__all__ = ["Finding"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a diagnosis reports."""

    rule: str
    severity: str
    """The worst is `error`, then come `warning` and `note`."""
    node: str | None
    edge: tuple[str, str, int] | None
    numbers: dict[str, Any]
    """What shows it."""
    cause: str
    remedy: str
    source: Source | None = None
