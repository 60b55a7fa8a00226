"""Findings of a recorded run with those of its snapshots, each with ways to what it is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import streamlit as st

from gradtrace.analysis.diagnose import SEVERITIES
from gradtrace.errors import GradtraceError
from gradtrace.render.numbers import number
from gradtrace_dashboard import address, common, data
from gradtrace_dashboard.charts.scene import edge_id

__all__ = ["Entry", "of_graph", "of_run", "of_snapshots", "sorted_entries", "table"]

SIGNS = {
    "error": ":material/error: error",
    "warning": ":material/warning: warning",
    "note": ":material/info: note",
}

EACH = 12
"""Places that are listed of one kind of finding."""

WAYS = (
    ("Step", "flow", ":material/grid_on:"),
    ("Layer", "layer", ":material/layers:"),
    ("Graph", "graph", ":material/account_tree:"),
)

NOWHERE = {"scope": None, "line": None}
"""What else might be chosen in a graph, and is no longer."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A finding, by whom it was made, and where it leads."""

    severity: str
    rule: str
    node: str | None
    edge: tuple[str, str, Any] | None
    numbers: Mapping[str, Any]
    cause: str
    remedy: str
    first: int
    last: int
    by: str
    """`recorder`, or `snapshot`: a diagnosis of the graph of one step."""

    def concerns(self, node: str) -> bool:
        """Tell whether it is about a node, or about what lies in that scope, or around it."""
        name = self.node or ""
        return name == node or name.startswith(f"{node}.") or node.startswith(f"{name}.")


def of_run(path: Path) -> list[Entry]:
    """Return what the recorder found."""
    return _of_run(path, data.stamp(path))


@lru_cache(maxsize=32)
def _of_run(path: Path, _: object) -> list[Entry]:
    return [
        Entry(
            *(each.severity, each.rule, each.node, each.edge, each.numbers),
            *(each.cause, each.remedy, each.first_step, each.last_step, "recorder"),
        )
        for each in data.recorded(path).findings
    ]


def of_snapshots(path: Path) -> list[Entry]:
    """Return what a diagnosis of each snapshot finds."""
    entries = []
    for step, file in data.recorded(path).snapshots.items():
        try:
            entries += of_graph(file, step)
        except (GradtraceError, OSError) as error:
            numbers: dict[str, Any] = {}
            entries.append(
                Entry(
                    "error",
                    "unreadable snapshot",
                    None,
                    None,
                    numbers,
                    str(error),
                    "Remove the file, or record the run again.",
                    step,
                    step,
                    "snapshot",
                )
            )
    return entries


def of_graph(file: Path, step: int = 0) -> list[Entry]:
    """Return what a diagnosis finds in a saved graph."""
    return _of_graph(file, file.stat().st_mtime_ns, step)


@lru_cache(maxsize=64)
def _of_graph(file: Path, _: int, step: int) -> list[Entry]:
    return [
        Entry(
            *(each.severity, each.rule, each.node, each.edge, each.numbers),
            *(_sentence(each.cause), _sentence(each.remedy), step, step, "snapshot"),
        )
        for each in data.graph(file).diagnose()
    ]


def sorted_entries(entries: Sequence[Entry]) -> list[Entry]:
    """Return entries worst first, of the same severity the newest first."""
    return sorted(entries, key=lambda each: (SEVERITIES.index(each.severity), -each.last))


def table(entries: Sequence[Entry], *, run: str | None, key: str) -> None:
    """Show each kind of finding with its cause and its remedy, and the ways to where it is."""
    kinds: dict[tuple[str, ...], list[Entry]] = {}
    for entry in sorted_entries(entries):
        kinds.setdefault((entry.severity, entry.rule, entry.cause, entry.remedy), []).append(entry)
    for kind, ((severity, rule, cause, remedy), those) in enumerate(kinds.items()):
        with st.container(border=True, gap="xsmall"):
            st.markdown(f"{SIGNS[severity]} **{common.plain(rule)}**")
            st.markdown(common.plain(f"{cause} {remedy}"))
            for index, entry in enumerate(those[:EACH]):
                _place(entry, run, f"{key} {kind} {index}")
            if len(those) > EACH:
                st.caption(f"and {len(those) - EACH:,} more; filter by node to see them")


def _place(entry: Entry, run: str | None, key: str) -> None:
    """Show in a line where a finding is, since when, and the ways there."""
    steps = f"step {entry.first:,}"
    if entry.last != entry.first:
        steps = f"steps {entry.first:,} to {entry.last:,}"
    shown = [
        f"{name.replace('_', ' ')} {number(value)}"
        for name, value in entry.numbers.items()
        if isinstance(value, int | float)
    ]
    bar = st.container(horizontal=True, vertical_alignment="center", key=f"place {key}")
    words = common.plain(", ".join([steps, *shown] if run is not None else shown))
    bar.markdown(f"`{(entry.node or 'the graph').replace('`', '')}` {words}")
    for label, page, icon in WAYS if run is not None else ():
        if label == "Layer" and entry.node is None:
            continue
        if bar.button(label, key=f"{key} {label}", icon=icon, type="tertiary"):
            edge = edge_id(*entry.edge) if entry.edge and page == "graph" else None
            address.go(page, run=run, node=entry.node, edge=edge, step=entry.first, **NOWHERE)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
