"""The choices of a heat map: quantity, statistic, nodes, groups, window of steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import streamlit as st

from gradtrace.recording.sample import Series
from gradtrace_dashboard import address, data
from gradtrace_dashboard.cells import Cells
from gradtrace_dashboard.words import first_quantity, label_of, meaning, statistics_of

__all__ = ["View", "arranged", "choose", "grouped", "matches", "window_of"]

KINDS = ("all", "modules", "weights", "biases")


@dataclass(frozen=True, slots=True)
class View:
    """What of a run is shown."""

    quantity: str
    statistic: str
    names: str
    kind: str
    grouping: str
    scheme: str
    low: bool
    window: tuple[int, int] | None
    """The first and the last step that are shown; all if None."""

    @property
    def title(self) -> str:
        """What is seen, in words."""
        return meaning(self.quantity, self.statistic)


def choose(path: Path) -> View:
    """Let the reader choose what is shown."""
    recorded = first_quantity(data.quantities(path))
    first, second, third, fourth, fifth = st.columns(
        [2.2, 1.4, 1.8, 1.5, 1.5], vertical_alignment="bottom"
    )
    quantity = address.pick("Quantity", recorded, name="quantity", pinned=True, within=first)
    statistic = address.pick(
        "Statistic", statistics_of(quantity), name="statistic", within=second, default="norm"
    )
    names = address.text("Filter", name="filter", within=third, placeholder="name or pattern*")
    grouping = address.pick("Group by", _depths(path, quantity), name="group", within=fourth)
    with fifth, st.popover("More", icon=":material/tune:", width="stretch"):
        kind = address.pick("Nodes", KINDS, name="kind")
        scheme = address.pick("Colours", ("cividis", "viridis"), name="colours")
        low = address.switch(
            "Show the smallest",
            name="smallest",
            help="Of several steps in one pixel, show the smallest number, not the largest.",
        )
        steps = address.text("Steps", name="window", placeholder="such as 100-500")
    return View(quantity, statistic, names, kind, grouping, scheme, low, window_of(steps))


def window_of(text: str) -> tuple[int, int] | None:
    """Return the range of steps that is written so.

    >>> window_of("100-500"), window_of("500 - 100"), window_of("all")
    ((100, 500), (100, 500), None)
    """
    ends = [each.strip() for each in text.replace("–", "-").split("-")]
    if len(ends) != 2 or not all(each.isdecimal() and len(each) < 16 for each in ends):
        return None
    first, last = sorted(map(int, ends))
    return first, last


def _depths(path: Path, quantity: str) -> list[str]:
    nodes = data.recorded(path).nodes(quantity)
    deepest = max((node.count(".") for node in nodes), default=0)
    return ["nothing", *(f"scope, depth {depth}" for depth in range(1, deepest + 1))]


def arranged(cells: Cells, view: View, series: Sequence[Series]) -> Cells:
    """Return the nodes that are wanted, one column for each group."""
    kinds = {each.node: each.kind for each in series}
    chosen = [
        (column, node)
        for column, node in enumerate(cells.nodes)
        if matches(node, view.names) and _is(node, kinds.get(node, ""), view.kind)
    ]
    return cells.of(grouped(chosen, view.grouping))


def grouped(chosen: Sequence[tuple[int, str]], grouping: str) -> dict[str, list[int]]:
    """Return the columns of each group in the order of their first.

    >>> grouped([(0, "a.w"), (1, "b.w"), (2, "a.b")], "scope, depth 1")
    {'a': [0, 2], 'b': [1]}
    """
    depth = int(grouping.rpartition(" ")[2]) if grouping.startswith("scope") else None
    groups: dict[str, list[int]] = {}
    for column, node in chosen:
        name = node if depth is None else ".".join(node.split(".")[:depth])
        groups.setdefault(label_of(name), []).append(column)
    return groups


def matches(node: str, pattern: str) -> bool:
    """Tell whether a node has the pattern in its name.

    >>> matches("encoder.0.weight", "enc"), matches("encoder.0.weight", "*.bias")
    (True, False)
    """
    wanted = pattern.strip()
    if any(each in wanted for each in "*?["):
        return fnmatchcase(node, wanted)
    return wanted.lower() in node.lower()


def _is(node: str, kind: str, wanted: str) -> bool:
    if wanted == "modules":
        return kind == "module"
    if wanted == "all":
        return True
    return kind == "parameter" and node.rpartition(".")[2].startswith(wanted.removesuffix("s")[:4])
