"""What a rule is, and what it reports."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import networkx as nx

from gradtrace.analysis.diagnose.thresholds import Thresholds
from gradtrace.finding import Finding

__all__ = ["SEVERITIES", "Finding", "Report", "Rule", "Undetermined"]

SEVERITIES = ("error", "warning", "note")
"""From the worst: numbers are lost; training suffers; worth knowing, and maybe meant so."""


@dataclass(frozen=True, slots=True)
class Undetermined:
    """What a rule could not tell, with the reason."""

    rule: str
    reason: str
    nodes: tuple[str, ...] = field(default=())


Report = Finding | Undetermined


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the table of rules.

    A plugin adds one by an entry point in the group `gradtrace.rules` that names a function, which
    returns a `Rule` when called without arguments.
    """

    name: str
    severity: str
    """The worst severity of its findings."""
    looks_for: str
    find: Callable[[nx.MultiDiGraph[str], Thresholds], Iterable[Report]]
