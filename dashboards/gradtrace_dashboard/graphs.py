"""A graph with its choices, its diagram and what was chosen in it; for snapshots and for files."""

from __future__ import annotations

import json
from collections.abc import Hashable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import streamlit as st

import gradtrace
from gradtrace_dashboard import address, common, data, detail
from gradtrace_dashboard.charts.scene import COLOURINGS, colouring, edge_id, fitting, measure, scene
from gradtrace_dashboard.charts.theme import Theme
from gradtrace_dashboard.pieces import diagram

__all__ = ["explore"]

HEIGHT = 560

KEYS = (
    "By keys: / searches, Enter goes to the next found. Arrows go along the edges of what is "
    "chosen, Backspace to the scope around it, Enter opens or closes that. + − 0 zoom."
)

KINDS = (
    "Green is a parameter, pink a buffer, blue an input or a closed scope, a dashed line a "
    "constant, orange the output."
)

CHOICES = ("node", "edge", "scope", "line", "toggled")
"""What a click chooses: one of the first four, and which scopes it left open or closed."""


def explore(path: Path, *, name: str, within: Sequence[Any]) -> None:
    """Show the graph saved in `path`, with its choices in two places of the page."""
    graph, note = _fitting(path, path.stat().st_mtime_ns)
    quantity = address.pick(
        "Colour", COLOURINGS, name="colour", within=within[0], default="upstream gradient"
    )
    depth = address.pick("Open scopes", _depths(graph), name="depth", within=within[1])
    left, right = st.columns([1.75, 1], gap="medium")
    with left:
        _diagram(path, name, quantity, depth, note)
    with right:
        _details(path)
    _chain(path)


def _depths(graph: gradtrace.Graph) -> list[str]:
    scopes = [str(scope) for _, scope in graph.nodes(data="scope") if scope]
    deepest = max((scope.count(".") + 1 for scope in scopes), default=0)
    return ["automatic", "none", *(f"to depth {depth}" for depth in range(1, deepest)), "all"]


def _level(depth: str) -> int | None:
    """Return how deep scopes are open; None leaves it to the room there is.

    >>> [_level(each) for each in ("automatic", "none", "to depth 2", "all")]
    [None, 0, 2, 99]
    """
    known = {"automatic": None, "none": 0, "all": 99}
    return known[depth] if depth in known else int(depth.rpartition(" ")[2])


@lru_cache(maxsize=16)
def _fitting(path: Path, _: Hashable) -> tuple[gradtrace.Graph, str]:
    return fitting(data.graph(path))


@lru_cache(maxsize=16)
def _scene(path: Path, stamp: Hashable) -> dict[str, Any]:
    return scene(_fitting(path, stamp)[0])


@lru_cache(maxsize=64)
def _colouring(path: Path, stamp: Hashable, quantity: str, theme: Theme) -> Any:
    names = [node["id"] for node in _scene(path, stamp)["nodes"]]
    return colouring(_fitting(path, stamp)[0], names, quantity, theme)


def _diagram(path: Path, name: str, quantity: str, depth: str, note: str) -> None:
    theme, stamp = common.theme(), path.stat().st_mtime_ns
    version = f"{path} {stamp} {quantity} {depth} {theme.dark}"
    picked = diagram(
        {
            **_scene(path, stamp),
            "colouring": _colouring(path, stamp, quantity, theme),
            "depth": _level(depth),
            "dark": theme.dark,
            "file": f"{name.replace('/', '-').replace(' ', '-')}.svg",
            "height": HEIGHT,
            "told": _told(version, depth),
            "version": version,
        },
        key="diagram",
    )
    arrows = "The thicker an arrow, the larger the gradient that comes back along it."
    st.caption(f"{note} {KINDS if quantity == 'kind' else ''} {arrows}")
    common.take_away(key="diagram files", name=name, rows=lambda: _rows(data.graph(path)))
    if picked:
        _pick(picked, depth)


def _told(version: str, depth: str) -> str:
    """Return what the browser is told to show: not what was clicked there, which it knows.

    So nothing of a drawing of a megabyte is sent again after a click.
    """
    chosen = {name: address.read(name) for name in CHOICES}
    known = st.session_state.get("diagram told")
    if known is None or known[0] != version or chosen != st.session_state.get("diagram clicked"):
        base, *names = chosen["toggled"].split("|")
        told = {**chosen, "toggled": names if base == depth else []}
        known = st.session_state["diagram told"] = version, json.dumps(told)
        st.session_state["diagram clicked"] = chosen
    return str(known[1])


def _pick(picked: dict[str, Any], depth: str) -> None:
    """Note what was clicked."""
    toggled = picked.get("toggled")
    chosen = {**picked, "toggled": "|".join([depth, *toggled]) if toggled else None}
    address.put(**{name: chosen.get(name) for name in CHOICES})
    st.session_state["diagram clicked"] = {name: address.read(name) for name in CHOICES}


def _details(path: Path) -> None:
    """Say in numbers what is known of what is chosen."""
    graph = data.graph(path)
    edge, line = _names("edge", 3), _names("line", 2)
    if edge and graph.has_edge(*edge):
        detail.edge(graph, *edge)
    elif line and (found := _between(graph, *line)):
        st.markdown(f"##### {len(found)} edges")
        detail.edges(graph, found, choose=lambda each: address.put(edge=edge_id(*each), line=None))
    elif subject := _subject(path):
        detail.node(*subject)
    else:
        st.markdown("##### Nothing chosen")
        st.write("Click a box or an arrow for its numbers. A click on a scope opens or closes it.")
        st.caption(KEYS)


def _chain(path: Path) -> None:
    """Say how the gradient came back from the loss to what is chosen."""
    subject = _subject(path)
    if subject is None:
        return
    views = {"Chain rule": detail.chain, "Paths": detail.paths}
    view = address.segments("From the loss to here", tuple(views), name="back")
    views[view](*subject)


def _subject(path: Path) -> tuple[gradtrace.Graph, str] | None:
    """Return the chosen node, an edge's operand, or a scope as a node of the graph folded there."""
    graph = data.graph(path)
    edge, node = _names("edge", 3), address.read("node")
    if edge and graph.has_edge(*edge):
        return graph, edge[0]
    if node in graph:
        return graph, node
    scope = address.read("scope") or node
    return _folded(path, path.stat().st_mtime_ns, scope) if scope else None


@lru_cache(maxsize=32)
def _folded(path: Path, _: Hashable, scope: str) -> tuple[gradtrace.Graph, str] | None:
    """Return the graph folded so that a scope is a node, and the first one of its calls."""
    graph = data.graph(path)
    if not any(f"{inner}.".startswith(f"{scope}.") for _, inner in graph.nodes(data="scope")):
        return None
    folded = graph.collapse(depth=scope.count(".") + 1)
    calls = (n for n, where in folded.nodes(data="scope") if where == scope)
    found = next((node for node in calls if folded.nodes[node]["kind"] == "call"), None)
    return None if found is None else (folded, found)


def _between(graph: gradtrace.Graph, tail: str, head: str) -> list[tuple[str, str, Any]]:
    """Return the edges from one node or scope to another."""

    def inside(node: str, name: str) -> bool:
        return node == name or f"{graph.nodes[node]['scope']}.".startswith(f"{name}.")

    edges = graph.edges(keys=True)
    return [each for each in edges if inside(each[0], tail) and inside(each[1], head)]


def _names(choice: str, count: int) -> tuple[Any, ...]:
    """Return the names that a choice in the address holds, none where it is no such list."""
    try:
        found = json.loads(address.read(choice))
    except ValueError:
        return ()
    good = isinstance(found, list) and len(found) == count
    return tuple(found) if good and all(isinstance(each, str | int) for each in found) else ()


def _rows(graph: gradtrace.Graph) -> list[tuple[object, ...]]:
    """Return a row of norms for each edge."""
    tensors = ("value of operand", "upstream gradient of operand", "upstream gradient of result")
    rows: list[tuple[object, ...]] = [
        ("operand", "result", "used as", "op", "gain", *tensors, "downstream gradient")
    ]
    for tail, head, each in graph.edges(data=True):
        derivative, back = each["local_derivative"], each["downstream_gradient"]
        gain = derivative.gain if derivative else None
        below, above = graph.nodes[tail], graph.nodes[head]
        norms = (
            measure(below, "value"),
            *(measure(n, "upstream gradient") for n in (below, above)),
        )
        shown = (gain, *norms, back.norm if back else None)
        rows.append((tail, head, each["operand"], above["op"], *shown))
    return rows
