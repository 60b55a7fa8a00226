"""The page of one layer: all its quantities over time, its histograms, its findings."""

from __future__ import annotations

from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from gradtrace.recording.reader import Histograms
from gradtrace.recording.statistics import RATIOS
from gradtrace_dashboard import address, common, curves, data, found
from gradtrace_dashboard.charts.heat import shares, to_svg
from gradtrace_dashboard.charts.lines import Curve, lines, spans_decades
from gradtrace_dashboard.charts.ridges import ridges
from gradtrace_dashboard.charts.spread import spread
from gradtrace_dashboard.pieces import drawing
from gradtrace_dashboard.words import first_quantity, label_of, node_of

__all__ = ["show"]


def show() -> None:
    """Show the page."""
    run = common.run()
    st.title("Layer")
    places = _places(run.path, data.stamp(run.path)[:1])
    if not places:
        st.info("No layer has been recorded yet.")
        return
    first, second = st.columns([3, 1], vertical_alignment="bottom")
    with first:
        label = address.pick("Node", list(places), name="node", pinned=True)
    with second:
        log = not address.switch("Linear scale", name="linear")
    unread = [q for q in places[label] if not data.cells(run.path, q, patience=0.0)[1]]
    live = run.state == "training" or bool(unread)
    common.follow(lambda: _body(run, node_of(label), places[label], log, live), live=live)


@lru_cache(maxsize=64)
def _places(path: Path, _: object) -> dict[str, tuple[str, ...]]:
    """Return the quantities of each node, those of a module's own parameters beside its own."""
    recording = data.recorded(path)
    quantities = first_quantity(recording.quantities)
    nodes = {q: recording.nodes(q) for q in quantities}
    names = dict.fromkeys(each.node for each in recording.series)
    return {label_of(name): tuple(q for q in quantities if name in nodes[q]) for name in names}


def _body(run: data.Run, node: str, quantities: tuple[str, ...], log: bool, live: bool) -> None:
    step = int(address.read("step")) if address.read("step").isdigit() else None
    loss = curves.loss(run, name="loss")
    _chart(loss, "Loss", key=node, log=spans_decades(loss), height=150, step=step)
    _findings(run, node)
    columns = st.columns(2)
    for index, each in enumerate(quantities):
        with columns[index % 2]:
            found = [_curve(run.path, each, node)]
            _chart(found, each, key=node, log=log, height=220, width=540, step=step)
    _histograms(run, node, quantities, step)
    known = all(data.cells(run.path, each, patience=0.0)[1] for each in quantities)
    if live and known and data.recorded(run.path).state != "training":
        st.rerun()


def _chart(found: list[Curve], title: str, *, key: str, **more: Any) -> None:
    if not any(np.isfinite(each.low).any() or each.odd.any() for each in found):
        return
    svg, read = lines(found, title=title, theme=common.theme(), **more)
    name = f"{label_of(key)}-{title}".replace(" ", "-")
    rows = partial(curves.rows, found)
    common.chart(svg, key=f"layer {title}", name=name, read=read, rows=rows)


def _curve(path: Path, quantity: str, node: str) -> Curve:
    cells, _ = data.cells(path, quantity, patience=0.05)
    return curves.curve(quantity, cells, cells.nodes.index(node))


def _histograms(run: data.Run, node: str, quantities: tuple[str, ...], step: int | None) -> None:
    stamp = data.stamp(run.path)
    recorded = [q for q in quantities if q not in RATIOS]
    known = [q for q in recorded if len(_counts(run.path, stamp, node, q).steps)]
    if not known:
        return
    left, right = st.columns([3, 1])
    quantity = address.pick("Histograms of", known, name="histogram", within=left)
    form = address.segments("Drawn as", ("heat", "ridges"), name="form", within=right)
    counts, theme = _counts(run.path, stamp, node, quantity), common.theme()
    title = f"Magnitudes of the elements of the {quantity}, as shares of all"
    cells = spread(counts)
    if form == "ridges":
        svg = ridges(counts, title=title, theme=theme, step=step)
        drawing(svg, key="ridges")
    else:
        levels = shares(cells, theme=theme)
        height = int(min(max(11 * len(cells.nodes) + 106, 260), 460))
        common.heatmap(levels, title=title, height=height, step=step, key="histograms")
        svg = to_svg(levels, title=title, theme=theme)
    common.take_away(
        key="histogram files",
        name=f"{label_of(node)}-histograms",
        svg=lambda: svg,
        rows=lambda: cells.rows("magnitude"),
    )


@lru_cache(maxsize=64)
def _counts(path: Path, _: object, node: str, quantity: str) -> Histograms:
    return data.recorded(path).histograms(node, quantity)


def _findings(run: data.Run, node: str) -> None:
    about = [each for each in found.of_run(run.path) if each.concerns(node)]
    if about:
        found.table(about, run=run.name, key="layer findings")


if __name__ == "__main__":
    show()
