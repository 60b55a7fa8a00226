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

__all__ = ["Entry", "of_graph", "of_run", "of_snapshots", "sorted_entries", "table"]

SIGNS = {
    "error": ":material/error: error",
    "warning": ":material/warning: warning",
    "note": ":material/info: note",
}


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
    """Show each finding with its cause, its remedy, and the ways to what it is about."""
    for index, entry in enumerate(sorted_entries(entries)):
        with st.container(border=True):
            _entry(entry, run, f"{key} {index}")


def _entry(entry: Entry, run: str | None, key: str) -> None:
    steps = f"step {entry.first:,}"
    if entry.last != entry.first:
        steps = f"steps {entry.first:,} to {entry.last:,}"
    place = f"`{(entry.node or 'the graph').replace('`', '')}`"
    st.markdown(f"{SIGNS[entry.severity]} **{common.plain(entry.rule)}** at {place}, {steps}")
    shown = [
        f"{name.replace('_', ' ')} {number(value)}"
        for name, value in entry.numbers.items()
        if isinstance(value, int | float)
    ]
    numbers = f" ({', '.join(shown)})" if shown else ""
    st.write(common.plain(f"{entry.cause}{numbers} {entry.remedy}"))
    if run is not None:
        _ways(entry, run, key)


def _ways(entry: Entry, run: str, key: str) -> None:
    bar = st.container(horizontal=True, gap="small")
    ways = [("Step", "flow", ":material/grid_on:", {"step": entry.first})]
    if entry.node is not None:
        ways.append(("Layer", "layer", ":material/layers:", {"step": entry.first}))
    ways.append(("Graph", "graph", ":material/account_tree:", {"step": entry.first}))
    for label, page, icon, choices in ways:
        if bar.button(label, key=f"{key} {label}", icon=icon, type="tertiary"):
            edge = "|".join(map(str, entry.edge)) if entry.edge and page == "graph" else None
            address.go(page, run=run, node=entry.node, edge=edge, **choices)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
