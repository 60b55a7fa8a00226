"""The page of gradient flow: nodes × steps as a heat map, and the profile over depth at a step."""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import streamlit as st

from gradtrace_dashboard import address, common, data
from gradtrace_dashboard.cells import ABSENT, INFINITE, NAN, ZERO, Cells
from gradtrace_dashboard.charts.heat import Heat, heat, to_svg
from gradtrace_dashboard.charts.profile import profile
from gradtrace_dashboard.flow import View, arranged, choose
from gradtrace_dashboard.rows import interval_of, rows_of
from gradtrace_dashboard.words import counted, first_quantity

__all__ = ["show"]

LONG = 5000
"""Steps from which on other quantities are read before they are asked for."""

COLUMNS, CELLS = 800, 400_000
"""Blocks of steps that a screen has room for, and cells that are sent at most."""

TICK = 0.6
"""Seconds that a step is shown while the run is played."""

FRAMES = 60
"""Steps shown while a run is played."""


def show() -> None:
    """Show the page."""
    run = common.run()
    st.title("Gradient flow")
    if not len(data.steps(run.path)):
        live = run.state == "training"
        follows = "; this page follows as soon as there is one" if live else ""
        st.info(f"No step has been recorded{follows}.")
        common.follow(lambda: _wait(run.path), live=live)
        return
    view = choose(run.path)
    playing = address.read("play") == "yes"
    live = run.state == "training"
    unread = not data.cells(
        run.path, view.quantity, view.statistic, window=view.window, patience=0.0
    )[1]
    beat = TICK if playing or unread else common.BEAT
    ticking = live or playing or unread
    common.follow(lambda: _body(run, view, ticking, playing), live=ticking, beat=beat)


def _wait(path: Path) -> None:
    if len(data.steps(path)):
        st.rerun()


def _body(run: data.Run, view: View, ticking: bool, playing: bool) -> None:
    steps = data.steps(run.path)
    cells, complete = data.cells(run.path, view.quantity, view.statistic, window=view.window)
    columns = max(100, min(COLUMNS, CELLS // max(len(cells.nodes), 1)))
    shown = arranged(cells.merged(columns), view, data.recorded(run.path).series)
    if not shown.nodes:
        st.info("No node fits the filter.")
        return
    step, other = _steps(steps)
    found = heat(shown, theme=common.theme(), statistic=view.statistic, scheme=view.scheme)
    left, right = st.columns([2.6, 1], gap="small")
    with left:
        _map(found, view, step, other, run.name)
    with right:
        _profile(run, view, step, other, shown.nodes)
    if playing != (address.read("play") == "yes") or (
        ticking and complete and not playing and _over(run)
    ):
        st.rerun()
    if complete and len(steps) > LONG:
        data.AHEAD.read(run.path, first_quantity(data.quantities(run.path)))
    last = f"up to step {int(steps[-1]):,}" if complete else "reading the rest of the run …"
    hint = "Click a cell to open the layer, Shift-click to choose its step."
    if (interval := interval_of(data.recorded(run.path), view.quantity)) > 1:
        hint += f" What is large is looked at every {interval} steps, and held in between."
    size = f"{counted(len(shown.nodes), 'node')} × {counted(len(steps), 'step')}"
    st.caption(f"{size}, {last}. {hint}")


def _over(run: data.Run) -> bool:
    """Tell whether a run no longer trains."""
    return data.recorded(run.path).state != "training"


def _steps(steps: npt.NDArray[np.int64]) -> tuple[int, int | None]:
    """Let the reader choose the step, and another one to compare it with."""
    marks = np.unique(steps[np.linspace(0, len(steps) - 1, min(len(steps), 400)).astype(int)])
    wanted = address.read("step")
    at = int(wanted) if wanted.isdigit() else int(steps[-1])
    options = sorted({*marks.tolist(), int(steps[np.abs(steps - at).argmin()])})
    _advance(options)
    bar = st.columns([1.1, 5.2, 1.6], vertical_alignment="bottom")
    with bar[0]:
        address.switch("Play", name="play")
    with bar[1]:
        step = address.number("Step", options, name="step", default=options[-1])
    with bar[2]:
        other = address.text("Compare with step", name="other", placeholder="none")
    known = int(steps[np.abs(steps - int(other)).argmin()]) if other.isdigit() else None
    return step, known


def _advance(options: list[int]) -> None:
    """Go on to the next step where the run is played."""
    if address.read("play") != "yes":
        return
    stride = max(1, len(options) // FRAMES)
    at = address.read("step")
    here = options.index(int(at)) if at.isdigit() and int(at) in options else len(options) - 1
    after = 0 if here >= len(options) - 1 else min(here + stride, len(options) - 1)
    address.put(step=options[after])


def _map(found: Heat, view: View, step: int, other: int | None, name: str) -> None:
    theme = common.theme()
    picked = common.heatmap(
        found,
        title=view.title,
        height=_height(len(found.cells.nodes)),
        low_first=view.low,
        step=step,
        other=other,
        node=address.read("node"),
        key="flow map",
    )
    common.take_away(
        key="flow",
        name=f"{name}-{view.quantity}".replace("/", "-").replace(" ", "-"),
        svg=lambda: to_svg(found, title=view.title, theme=theme, low=view.low),
        rows=found.cells.rows,
    )
    if picked:
        if picked.get("stay") or view.grouping != "nothing":
            address.put(step=int(picked["step"]), node=str(picked["node"]))
            st.rerun()
        address.go("layer", node=picked["node"], step=picked["step"], quantity=view.quantity)


def _height(nodes: int) -> int:
    return int(min(max(15 * nodes + 106, 380), 500))


def _profile(
    run: data.Run, view: View, step: int, other: int | None, nodes: tuple[str, ...]
) -> None:
    series = {}
    recording = data.recorded(run.path).series
    for each in (step, other):
        if each is not None:
            at = _at(run.path, data.stamp(run.path), view.quantity, view.statistic, each)
            series[f"step {each:,}"] = _values(arranged(at, view, recording), nodes)
    log = view.statistic not in ("zeros", "saturated")
    theme = common.theme()
    height = _height(len(nodes))
    title = f"{view.quantity} over depth"
    svg = profile(nodes, series, title=title, theme=theme, log=log, height=height)
    rows = [("node", *series), *zip(nodes, *series.values(), strict=True)]
    common.chart(svg, key="profile", name="profile", rows=lambda: rows)


@lru_cache(maxsize=256)
def _at(path: Path, _: object, quantity: str, statistic: str, step: int) -> Cells:
    recording = data.recorded(path)
    return rows_of(recording, quantity, statistic, recording.nodes(quantity), slice(step, step + 1))


def _values(cells: Cells, nodes: tuple[str, ...]) -> list[float | None]:
    """Return a number for each node: the largest of a group, what is wrong before any."""
    if not len(cells.first):
        return [None] * len(nodes)
    found: list[float | None] = []
    for kind, high in zip(cells.kinds[0].tolist(), cells.high[0].tolist(), strict=True):
        if kind & NAN:
            found.append(math.nan)
        elif kind & INFINITE:
            found.append(math.inf)
        elif not math.isnan(high):
            found.append(high)
        else:
            found.append(0.0 if kind & ZERO else None)
            assert kind & (ZERO | ABSENT)
    return found


if __name__ == "__main__":
    show()
