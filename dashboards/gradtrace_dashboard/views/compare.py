"""The page of comparison: runs overlaid, the difference of two as a heat map, of two graphs."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import streamlit as st

import gradtrace
from gradtrace.errors import GradtraceError
from gradtrace.render.numbers import number
from gradtrace_dashboard import address, common, data
from gradtrace_dashboard.charts.heat import differences, payload, to_svg
from gradtrace_dashboard.charts.lines import Curve, curve_of, lines, spans_decades
from gradtrace_dashboard.pieces import heatmap
from gradtrace_dashboard.tracks import INFINITE, NAN, NUMBER, TOTAL, Cells, rows_of
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
    names = address.picks("Runs", list(every), name="runs", default=list(every)[:2])
    chosen = [every[name] for name in names]
    if not chosen:
        st.info("Choose two runs or more, or one of which to compare steps.")
        return
    live = any(run.state == "training" for run in chosen)
    views = ("curves", "difference", "graphs")
    view = address.pick("Show", views, name="view")
    parts = {"curves": _curves, "difference": _difference, "graphs": _graphs}
    common.follow(lambda: parts[view](chosen), live=live and view != "graphs")


def _curves(runs: list[data.Run]) -> None:
    theme = common.theme()
    losses = [
        curve_of(run.name, *found)
        for run in runs
        if (found := data.scalars(run.path).get("loss")) is not None
    ]
    norms = [_total(run) for run in runs if "gradient" in data.quantities(run.path)]
    for title, curves, log in (
        ("Loss", losses, spans_decades(losses)),
        ("Norm of the whole gradient", norms, True),
    ):
        svg, read = lines(curves, title=title, theme=theme, log=log, height=250)
        name = title.lower().replace(" ", "-")
        common.chart(svg, key=title, name=name, read=read)


def _total(run: data.Run) -> Curve:
    found, _ = data.cells(run.path, "gradient", TOTAL)
    spoilt = (found.kinds[:, 0] & NAN) > 0
    return Curve(run.name, found.first, found.low[:, 0], found.high[:, 0], spoilt)


def _difference(runs: list[data.Run]) -> None:
    """Draw the log ratio of the first two runs, or of each step of one run and a step of it."""
    first, second = runs[0], runs[min(1, len(runs) - 1)]
    shared = set(data.quantities(first.path)) & set(data.quantities(second.path))
    quantity = address.pick("Quantity", first_quantity(tuple(shared)), name="quantity")
    base, title, than = _base(first, second, quantity)
    cells, ratios = aligned(base, data.cells(second.path, quantity)[0])
    if not cells.nodes or not len(cells.first):
        st.info("The two runs have no node of the same name at the same steps.")
        return
    theme = common.theme()
    found = differences(cells, ratios, theme=theme)
    inks = {"text": theme.ink, "grey": theme.grey, "paper": theme.paper}
    height = int(min(max(15 * len(cells.nodes) + 106, 260), 480))
    shown = payload(found, title=title, height=height, step=None, other=None, node=None)
    ink = {**inks, "mark": theme.mark, "other": theme.other}
    picked = heatmap({**shown, "low_first": False, "ink": ink}, key="difference")
    st.caption(f"Red is larger than {common.plain(than)}, blue smaller, by powers of ten.")
    common.take_away(
        key="difference files",
        name="difference",
        svg=lambda: to_svg(found, title=title, theme=theme),
        rows=lambda: [
            ("step", *cells.nodes),
            *((int(s), *row) for s, row in zip(cells.first, ratios.tolist(), strict=True)),
        ],
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


def aligned(a: Cells, b: Cells) -> tuple[Cells, npt.NDArray[np.float64]]:
    """Return cells of the nodes and steps that both have, and log10 of b / a in each."""
    shared = [node for node in a.nodes if node in set(b.nodes)]
    nodes = tuple(map(label_of, shared))
    a = a.of({label_of(node): [a.nodes.index(node)] for node in shared})
    b = b.of({label_of(node): [b.nodes.index(node)] for node in shared})
    if not nodes or not len(a.first) or not len(b.first):
        return a, np.empty((0, len(nodes)))
    end = min(int(a.last[-1]), int(b.last[-1]))
    rows = min(COLUMNS, len(b.first))
    marks = np.unique(np.linspace(min(a.first[0], b.first[0]), end, rows).astype(np.int64))
    at_a = np.clip(np.searchsorted(a.last, marks), 0, len(a.last) - 1)
    at_b = np.clip(np.searchsorted(b.last, marks), 0, len(b.last) - 1)
    with np.errstate(all="ignore"):
        ratios = np.log10(np.abs(b.high[at_b]).astype(float) / np.abs(a.high[at_a]))
    kinds = a.kinds[at_a] | b.kinds[at_b]
    spoilt = kinds & (NAN | INFINITE)
    kinds = np.where(spoilt > 0, spoilt, NUMBER).astype(np.uint8)
    high = np.where(np.isfinite(ratios), ratios, math.nan).astype(np.float32)
    return Cells(marks, marks, nodes, high, high, kinds), ratios


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


if __name__ == "__main__":
    show()
