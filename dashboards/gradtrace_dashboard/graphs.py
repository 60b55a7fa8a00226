"""A graph with its choices, its diagram and what was clicked in it; for snapshots and for files."""

from __future__ import annotations

import json
from collections.abc import Hashable
from functools import lru_cache
from pathlib import Path
from typing import Any

import streamlit as st

import gradtrace
from gradtrace.errors import GradtraceError
from gradtrace_dashboard import address, common, data, detail
from gradtrace_dashboard.charts.diagram import COLOURINGS, Diagram, Layout, around, draw, lay_out
from gradtrace_dashboard.charts.theme import Theme
from gradtrace_dashboard.pieces import diagram

__all__ = ["explore"]

LIMITS = ("120", "300", "800", "2000")
"""Boxes that a diagram may have."""

HEIGHT = 520


def explore(path: Path, *, name: str) -> None:
    """Show the graph saved in `path`."""
    graph = data.graph(path)
    scope = address.read("scope")
    quantity, depth, limit = _choices(graph)
    if scope:
        _way_back(scope)
    try:
        layout = _layout(path, path.stat().st_mtime_ns, scope, depth, limit)
    except GradtraceError as error:
        st.error(common.plain(str(error)))
        return
    left, right = st.columns([1.75, 1], gap="medium")
    with left:
        _diagram(layout, quantity, f"{name} {scope} {depth} {limit}")
    with right:
        _details(graph, layout)
    _chain(graph, layout)


def _choices(graph: gradtrace.Graph) -> tuple[str, int | None, int]:
    first, second, third = st.columns(3)
    quantity = address.pick(
        "Colour", COLOURINGS, name="colour", within=first, default="upstream gradient"
    )
    deepest = max((str(s).count(".") + 1 for _, s in graph.nodes(data="scope") if s), default=0)
    depths = ["automatic", *map(str, range(1, deepest + 1))]
    depth = address.pick("Fold at depth", depths, name="depth", within=second)
    limit = address.pick("Boxes at most", LIMITS, name="boxes", within=third, default="120")
    return quantity, None if depth == "automatic" else int(depth), int(limit)


def _way_back(scope: str) -> None:
    """Offer the scopes around the one that is open."""
    bar = st.container(horizontal=True, gap="small")
    parts = scope.split(".")
    ways = [("the whole", None), *((".".join(parts[:n]), n) for n in range(1, len(parts)))]
    for label, depth in ways:
        if bar.button(label, icon=":material/arrow_back:", key=f"back to {label}"):
            address.put(scope=label if depth else None)
            st.rerun()
    bar.markdown(f"inside `{scope.replace('`', '')}`")


@lru_cache(maxsize=32)
def _layout(path: Path, stamp: Hashable, scope: str, depth: int | None, limit: int) -> Layout:
    graph = data.graph(path)
    return lay_out(around(graph, scope) if scope else graph, depth=depth, limit=limit)


def _diagram(layout: Layout, quantity: str, name: str) -> None:
    theme = common.theme()
    drawn = _drawn(layout, quantity, theme)
    picked = diagram(
        {
            "svg": drawn.svg,
            "name": name,
            "height": HEIGHT,
            "pick": theme.mark,
            "picked": _mark(name),
        },
        key="diagram",
    )
    words = [drawn.note or "", _meaning(quantity, drawn.scale)]
    st.caption(" ".join(each for each in words if each))
    common.take_away(key="diagram files", name="graph", svg=lambda: drawn.svg)
    if picked:
        _pick(picked)


@lru_cache(maxsize=8)
def _drawn(layout: Layout, quantity: str, theme: Theme) -> Diagram:
    return draw(layout, quantity=quantity, theme=theme)


def _mark(name: str) -> str:
    """Return what the browser is told to mark: not what was clicked there, which it knows.

    So nothing of a drawing of many megabytes is sent again after a click.
    """
    chosen = address.read("edge") or address.read("node")
    known = st.session_state.get("diagram mark")
    if known is None or known[0] != name or chosen != st.session_state.get("diagram click"):
        known = st.session_state["diagram mark"] = (name, chosen)
    return str(known[1])


def _meaning(quantity: str, scale: Any) -> str:
    if scale is None:
        return "Click a node or an edge for its numbers."
    low, high = scale.ticks(2)[0][1], scale.ticks(2)[-1][1]
    return (
        f"Colour: norm of the {quantity}, dark {low} to yellow {high}."
        if quantity != "gain"
        else f"Colour: largest gain of its operands, dark {low} to yellow {high}."
    )


def _pick(picked: dict[str, Any]) -> None:
    """Note what was clicked; a fold opens at the second click."""
    node, edge, fold = picked.get("node"), picked.get("edge"), picked.get("fold")
    st.session_state["diagram click"] = edge or node
    if fold and node == address.read("node"):
        address.put(scope=fold, node=None, edge=None)
    elif edge:
        address.put(edge=edge, node=None)
    else:
        address.put(node=node, edge=None)
    st.rerun()


def _details(graph: gradtrace.Graph, layout: Layout) -> None:
    edge = _edge_of(address.read("edge"))
    name = address.read("node")
    for each in (graph, layout.graph):
        if edge is not None and each.has_edge(*edge):
            detail.edge(each, *edge)
            return
        if edge is None and name in each:
            detail.node(each, name)
            fold = each.nodes[name].get("folded")
            if fold and st.button("Open this scope", icon=":material/zoom_in:"):
                address.put(scope=each.nodes[name]["scope"], node=None)
                st.rerun()
            return
    st.markdown("##### Nothing chosen")
    st.write("Click a node or an edge, or search. A folded scope opens when clicked twice.")
    nodes = [n for n, _ in sorted(graph.nodes(data="order"), key=lambda each: each[1])]
    chosen = st.selectbox("Node", nodes, index=None, key="node by name", placeholder="by name")
    if chosen:
        address.put(node=chosen)
        st.rerun()


def _edge_of(text: str) -> tuple[str, str, Any] | None:
    """Return the edge that an address names, None where it names none."""
    try:
        tail, head, key = json.loads(text)
    except (ValueError, TypeError):
        return None
    return str(tail), str(head), key


def _chain(graph: gradtrace.Graph, layout: Layout) -> None:
    edge = _edge_of(address.read("edge"))
    name = edge[0] if edge else address.read("node")
    where = next((each for each in (graph, layout.graph) if name in each), None)
    if where is None:
        return
    st.subheader("The chain rule from the loss to here")
    detail.explanation(where, name)
