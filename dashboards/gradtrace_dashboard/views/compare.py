"""The page of comparison: runs overlaid, the difference of two as a heat map, of two graphs."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import streamlit as st

import gradtrace
from gradtrace.errors import GradtraceError
from gradtrace.render.numbers import number
from gradtrace_dashboard import address, common, curves, data
from gradtrace_dashboard.cells import ABSENT, INFINITE, NAN, NUMBER, ZERO, Bits, Cells
from gradtrace_dashboard.charts.heat import differences, to_svg
from gradtrace_dashboard.charts.lines import lines, spans_decades
from gradtrace_dashboard.rows import rows_of
from gradtrace_dashboard.words import first_quantity, label_of

__all__ = ["aligned", "show"]

COLUMNS = 400


def show() -> None:
    """Show the page."""
    st.title("Compare")
    every = {run.name: run for run in data.runs(data.root(), brief=True) if run.error is None}
    if not every:
        common.nothing_yet(data.root())
        return
    left, right = st.columns([2.6, 1])
    with left:
        names = address.picks("Runs", list(every), name="runs", default=list(every)[:2])
    view = address.segments("Show", tuple(VIEWS), name="view", within=right)
    chosen = [every[name] for name in names]
    if not chosen:
        st.info("Choose two runs or more, or one of which to compare steps.")
        return
    live = any(run.state == "training" for run in chosen)
    common.follow(lambda: VIEWS[view](chosen), live=live and view != "graphs")


def _curves(runs: list[data.Run]) -> None:
    losses = [each for run in runs for each in curves.loss(run)]
    norms = [each for run in runs for each in curves.total(run)]
    for title, found, log in (
        ("Loss", losses, spans_decades(losses)),
        ("Norm of the whole gradient", norms, True),
    ):
        svg, read = lines(found, title=title, theme=common.theme(), log=log, height=250)
        name = title.lower().replace(" ", "-")
        common.chart(svg, key=title, name=name, read=read, rows=partial(curves.rows, found))


def _difference(runs: list[data.Run]) -> None:
    """Draw the log ratio of the first two runs, or of each step of one run and a step of it."""
    first, second = runs[0], runs[min(1, len(runs) - 1)]
    shared = set(data.quantities(first.path)) & set(data.quantities(second.path))
    quantity = address.pick("Quantity", first_quantity(tuple(shared)), name="quantity")
    base, title, than = _base(first, second, quantity)
    cells = aligned(base, data.cells(second.path, quantity)[0])
    if not cells.nodes or not len(cells.first):
        st.info("The two runs have no node of the same name at the same steps.")
        return
    theme = common.theme()
    found = differences(cells, theme=theme)
    height = int(min(max(15 * len(cells.nodes) + 106, 260), 480))
    picked = common.heatmap(found, title=title, height=height, key="difference")
    where = common.plain(than)
    st.caption(f"Red is larger than {where}, blue smaller, by powers of ten; Inf was 0 {where}.")
    common.take_away(
        key="difference files",
        name="difference",
        svg=lambda: to_svg(found, title=title, theme=theme),
        rows=cells.rows,
    )
    if picked and not picked.get("stay"):
        address.go("layer", run=second.name, node=picked["node"], step=picked["step"])


def _base(first: data.Run, second: data.Run, quantity: str) -> tuple[Cells, str, str]:
    """Return what is divided by, and a title and what it is: another run, or a step."""
    if first is not second:
        cells, _ = data.cells(first.path, quantity)
        return cells, f"log10 of {quantity} of {second.name} / {first.name}", f"in {first.name}"
    steps = data.steps(first.path)
    marks = steps[np.unique(np.linspace(0, len(steps) - 1, min(len(steps), 400)).astype(int))]
    step = address.number(
        "Step to compare with", marks.tolist(), name="step", default=int(steps[0])
    )
    recording = data.recorded(first.path)
    nodes = recording.nodes(quantity)
    row = rows_of(recording, quantity, "norm", nodes, slice(step, step + 1))
    base = replace(row, first=steps[:1], last=steps[-1:])
    return base, f"log10 of {quantity} / that at step {step:,}", f"at step {step:,}"


def aligned(a: Cells, b: Cells) -> Cells:
    """Return log10 of b / a for the nodes and steps that both have.

    Where b is 0, or a is, or one of them is not finite, the cell says so instead.
    """
    shared = [node for node in a.nodes if node in set(b.nodes)]
    a, b = (each.of({label_of(n): [each.nodes.index(n)] for n in shared}) for each in (a, b))
    if not shared or not len(a.first) or not len(b.first):
        return Cells(b.first[:0], b.last[:0], b.nodes, b.low[:0], b.high[:0], b.kinds[:0])
    end = min(int(a.last[-1]), int(b.last[-1]))
    rows = min(COLUMNS, len(b.first))
    marks = np.unique(np.linspace(min(a.first[0], b.first[0]), end, rows).astype(np.int64))
    below, above = (_at(each, marks) for each in (a, b))
    with np.errstate(all="ignore"):
        ratios = np.log10(np.abs(above[0]) / np.abs(below[0]))
    ratios[(above[0] == 0) & (below[0] == 0)] = 0.0
    kinds = np.full(ratios.shape, NUMBER, np.uint8)
    kinds[np.isnan(ratios)] = ABSENT
    kinds[ratios == -np.inf] = ZERO
    kinds[ratios == np.inf] = INFINITE
    spoilt = (below[1] | above[1]) & (NAN | INFINITE)
    kinds = np.where(spoilt > 0, spoilt, kinds)
    shown = np.where(kinds == NUMBER, ratios, np.nan).astype(np.float32)
    return Cells(marks, marks, b.nodes, shown, shown, kinds)


def _at(cells: Cells, steps: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.float64], Bits]:
    """Return the largest number at some steps, 0 where that is all there is; and what else is."""
    rows = np.clip(np.searchsorted(cells.last, steps), 0, len(cells.last) - 1)
    kinds = cells.kinds[rows]
    return np.where(kinds == ZERO, 0.0, cells.high[rows].astype(np.float64)), kinds


def _graphs(runs: list[data.Run]) -> None:
    """Say where a snapshot of one run and one of another part."""
    sides = []
    for run, column, label in zip([*runs, *runs][:2], st.columns(2), "ab", strict=True):
        snapshots = data.recorded(run.path).snapshots
        if not snapshots:
            st.info(f"{common.plain(run.name)} has no traced step.")
            return
        steps = [str(step) for step in snapshots]
        title = f"Traced step of {run.name} ({label})"
        step = address.pick(title, steps, name=f"step_{label}", within=column)
        sides.append(snapshots[int(step)])
    try:
        found = gradtrace.diff(data.graph(sides[0]), data.graph(sides[1]))
    except (GradtraceError, OSError) as error:
        st.error(common.plain(str(error)))
        return
    _said(found)


def _said(found: gradtrace.Difference) -> None:
    for word, row in (("value", found.first_value), ("gradient", found.first_gradient)):
        place = "nowhere" if row is None else f"first at `{row.name.replace('`', '')}`"
        st.markdown(f"The {word}s part {place}.")
    rows: list[dict[str, Any]] = [
        {
            "node": row.name,
            "parts": " and ".join(
                word
                for word, parts in (("value", row.value_parts), ("gradient", row.gradient_parts))
                if parts
            ),
            "value error": number(row.value_error),
            "gradient error": number(row.gradient_error),
            "aligned by": row.by,
            "compared by": row.compared,
        }
        for row in found.rows
    ]
    st.dataframe(rows, hide_index=True, height=380)
    for label, nodes in (("a", found.only_in_a), ("b", found.only_in_b)):
        if nodes:
            st.caption(common.plain(f"Only in {label}: {', '.join(nodes)}"))
    common.take_away(
        key="diff files",
        name="diff",
        rows=lambda: [tuple(rows[0]), *(tuple(row.values()) for row in rows)] if rows else [],
    )


VIEWS = {"curves": _curves, "difference": _difference, "graphs": _graphs}


if __name__ == "__main__":
    show()
