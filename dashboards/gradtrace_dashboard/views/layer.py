"""The page of one layer: all its quantities over time, its histograms, its findings."""

from __future__ import annotations

from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import streamlit as st

from gradtrace_dashboard import address, common, data, found
from gradtrace_dashboard.charts.heat import heat, payload, to_svg
from gradtrace_dashboard.charts.lines import Curve, curve_of, lines, spans_decades
from gradtrace_dashboard.charts.spread import spread
from gradtrace_dashboard.pieces import drawing, heatmap
from gradtrace_dashboard.tracks import INFINITE, NAN, ZERO, Cells
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
        label = address.pick("Node", list(places), name="node")
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
    theme = common.theme()
    step = int(address.read("step")) if address.read("step").isdigit() else None
    losses = data.scalars(run.path).get("loss")
    if losses is not None:
        loss = [curve_of("loss", *losses)]
        svg, read = lines(
            loss, title="Loss", theme=theme, log=spans_decades(loss), height=150, step=step
        )
        drawing(svg, key="layer loss", read=read)
    curves = [_curve(run.path, each, node) for each in quantities]
    shown = [curve for curve in curves if len(curve.x)]
    left, right = st.columns(2)
    for index, curve in enumerate(shown):
        with (left, right)[index % 2]:
            svg, read = lines(
                [curve], title=curve.name, theme=theme, log=log, height=220, width=540, step=step
            )
            rows = _numbers(curve)
            name = f"{label_of(node)}-{curve.name}".replace(" ", "-")
            common.chart(
                svg, key=f"layer {curve.name}", name=name, read=read, rows=partial(list, rows)
            )
    _histograms(run, node, quantities, step)
    _findings(run, node)
    known = all(data.cells(run.path, each, patience=0.0)[1] for each in quantities)
    if live and known and data.recorded(run.path).state != "training":
        st.rerun()


def _curve(path: Path, quantity: str, node: str) -> Curve:
    cells, _ = data.cells(path, quantity, patience=0.05)
    column = cells.nodes.index(node)
    return curve(quantity, cells, column)


def curve(name: str, cells: Cells, column: int) -> Curve:
    """Return one column of cells as a line, 0 where that is all there is."""
    kinds = cells.kinds[:, column]
    low, high = cells.low[:, column].copy(), cells.high[:, column].copy()
    low[(kinds & ZERO) > 0] = 0.0
    high[kinds == ZERO] = 0.0
    return Curve(name, cells.first, low, high, (kinds & (NAN | INFINITE)) > 0)


def _numbers(curve: Curve) -> list[tuple[Any, ...]]:
    columns = (curve.x.tolist(), curve.low.tolist(), curve.high.tolist(), curve.spoilt.tolist())
    return [("step", "smallest", "largest", "NaN or Inf"), *zip(*columns, strict=True)]


def _histograms(run: data.Run, node: str, quantities: tuple[str, ...], step: int | None) -> None:
    recorded = [q for q in quantities if q not in ("gain", "update ratio", "clipping")]
    known = [q for q in recorded if len(_counts(run.path, data.stamp(run.path), node, q).first)]
    if not known:
        return
    quantity = address.pick("Histograms of", known, name="histogram")
    cells = _counts(run.path, data.stamp(run.path), node, quantity)
    theme = common.theme()
    found = heat(cells, theme=theme)
    title = f"Magnitudes of the {quantity}, as shares of its elements"
    inks = {"text": theme.ink, "grey": theme.grey, "paper": theme.paper}
    height = int(min(max(11 * len(cells.nodes) + 106, 260), 460))
    marks = {"mark": theme.mark, "other": theme.other}
    shown = payload(found, title=title, height=height, step=step, other=None, node=None)
    heatmap({**shown, "low_first": False, "ink": {**inks, **marks}}, key="histograms")
    common.take_away(
        key="histogram files",
        name=f"{label_of(node)}-histograms",
        svg=lambda: to_svg(found, title=title, theme=theme),
        rows=lambda: [
            ("step", *cells.nodes),
            *((int(s), *row) for s, row in zip(cells.first, cells.high.tolist(), strict=True)),
        ],
    )


@lru_cache(maxsize=64)
def _counts(path: Path, _: object, node: str, quantity: str) -> Cells:
    return spread(data.recorded(path).histograms(node, quantity))


def _findings(run: data.Run, node: str) -> None:
    about = [each for each in found.of_run(run.path) if each.concerns(node)]
    if about:
        st.subheader("Findings")
        found.table(about, run=run.name, key="layer findings")


if __name__ == "__main__":
    show()
