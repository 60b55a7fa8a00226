"""The page of all runs: which one trains, how far it is, what was found."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any

import streamlit as st

from gradtrace.render.numbers import number
from gradtrace_dashboard import address, common, curves, data
from gradtrace_dashboard.charts.lines import lines, spans_decades, sparkline

__all__ = ["show"]

SIGNS = {"training": "▶ training", "finished": "✓ finished", "stopped": "■ stopped"}


def show() -> None:
    """Show the page."""
    st.title("Runs")
    common.follow(_body, live=True, beat=2.0)


def _body() -> None:
    every = data.runs(data.root())
    if not every:
        common.nothing_yet(data.root())
        return
    good = [run for run in every if run.error is None]
    if good:
        _table(good)
        _curves(good)
    for run in every:
        if run.error is not None:
            st.error(f"**{common.plain(run.name)}** {common.plain(run.error)}")


def _table(runs: list[data.Run]) -> None:
    names = [run.name for run in runs]
    wanted = address.read("runs").split("|")
    found = st.dataframe(
        [_row(run) for run in runs],
        hide_index=True,
        on_select="rerun",
        selection_mode="multi-row",
        selection_default={"selection": {"rows": [i for i, n in enumerate(names) if n in wanted]}},
        key="table of runs",
        row_height=38,
        column_config={
            "Loss curve": st.column_config.LineChartColumn("Loss curve", width="medium"),
            "Gradient norm": st.column_config.LineChartColumn("Gradient norm", width="medium"),
            "Steps": st.column_config.NumberColumn("Steps", format="localized"),
        },
    )
    rows = [row for row in found["selection"]["rows"] if row < len(names)]
    address.put(runs="|".join(names[row] for row in rows))
    _open([names[row] for row in rows] or names[:1])


def _open(names: list[str]) -> None:
    bar = st.container(horizontal=True)
    bar.caption("Choose one run or several in the table." if len(names) < 2 else "")
    if bar.button("Gradient flow", icon=":material/grid_on:", help=f"of {names[0]}"):
        address.go("flow", run=names[0])
    if bar.button("Compare", icon=":material/compare_arrows:", disabled=len(names) < 2):
        address.go("compare", runs="|".join(names))


def _row(run: data.Run) -> dict[str, Any]:
    losses = data.scalars(run.path).get("loss")
    total = curves.total(run)
    began = datetime.fromtimestamp(run.started).strftime("%Y-%m-%d %H:%M") if run.started else ""
    return {
        "Run": run.name,
        "State": SIGNS.get(run.state, run.state),
        "Steps": run.steps,
        "Loss": "" if run.loss is None else number(run.loss),
        "Loss curve": sparkline(losses[1]) if losses else [],
        "Gradient norm": sparkline(total[0].high) if total else [],
        "Findings": run.findings,
        "Began": began,
    }


def _curves(runs: list[data.Run]) -> None:
    """Draw loss and gradient norm of the chosen runs, of the newest if none is chosen."""
    wanted = address.read("runs").split("|")
    chosen = [run for run in runs if run.name in wanted] or runs[:1]
    losses = [each for run in chosen for each in curves.loss(run)]
    norms = [each for run in chosen for each in curves.total(run)]
    theme = common.theme()
    left, right = st.columns(2)
    for place, found, title, log in (
        (left, losses, "Loss", spans_decades(losses)),
        (right, norms, "Norm of the whole gradient", True),
    ):
        if not found:
            continue
        with place:
            svg, read = lines(found, title=title, theme=theme, log=log, width=560, height=270)
            name = title.lower().replace(" ", "-")
            common.chart(svg, key=title, name=name, read=read, rows=partial(curves.rows, found))


if __name__ == "__main__":
    show()
