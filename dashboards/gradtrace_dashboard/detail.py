"""What there is to say of one node or one edge of a graph: numbers, formula, the chain rule."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import PurePath
from typing import Any

import streamlit as st

import gradtrace
from gradtrace.analysis.paths import told
from gradtrace.analysis.tables import percent
from gradtrace.errors import GradtraceError
from gradtrace.render.labels import summaries
from gradtrace.render.numbers import NOT_COMPUTED, number, shape
from gradtrace.summary import Summary
from gradtrace_dashboard import common
from gradtrace_dashboard.charts.jacobian import jacobian
from gradtrace_dashboard.words import counted

__all__ = ["chain", "edge", "edges", "node", "paths"]

ROW = 28
"""Height of a row of numbers."""

DRAWN = 2**16
"""Elements of a Jacobian that is drawn."""


def node(graph: gradtrace.Graph, name: str) -> None:
    """Show the numbers of a node."""
    data = graph.nodes[name]
    st.markdown(f"##### `{name.replace('`', '')}`")
    st.caption(common.plain(" · ".join(_made(data))))
    _summaries({"value": data["value"], "upstream gradient": data["upstream_gradient"]})
    incoming = graph.in_edges(name, keys=True, data=True)
    if incoming:
        st.caption("Operands, with what each edge makes of the gradient")
        st.dataframe(
            [{"operand": tail, **_back(each)} for tail, _, _, each in incoming],
            hide_index=True,
            row_height=ROW,
        )


def _made(data: Mapping[str, Any]) -> Iterator[str]:
    """Yield what made a node, and the line of the program."""
    if data.get("folded"):
        yield f"scope of {counted(data['folded'], 'call')}"
    else:
        yield f"{data['kind']}, {data['op']}" if data["op"] else data["kind"]
    yield from _line(data)


def _line(data: Mapping[str, Any]) -> Iterator[str]:
    """Yield the line of the program that made a node, if it is known."""
    if data["source"]:
        yield f"{'/'.join(PurePath(data['source'].file).parts[-2:])}:{data['source'].line}"


def _value(data: Mapping[str, Any]) -> str:
    """Return the value of a node in a word."""
    found = summaries(data["value"])
    known = [f"‖value‖ {number(each.norm)}, {shape(each.shape)}" for each in found if each]
    return "; ".join(known) or NOT_COMPUTED


def _back(data: Mapping[str, Any]) -> dict[str, str]:
    """Return what an edge makes of the gradient."""
    derivative = data["local_derivative"]
    downstream = data["downstream_gradient"]
    return {
        "gain": number(derivative.gain) if derivative else "none",
        "‖downstream‖": number(downstream.norm if downstream else None),
    }


def edge(graph: gradtrace.Graph, tail: str, head: str, key: Any) -> None:
    """Show the numbers of an edge."""
    data = graph.edges[tail, head, key]
    derivative = data["local_derivative"]
    st.markdown(f"##### `{tail.replace('`', '')}` → `{head.replace('`', '')}`")
    used = f"operand {data['operand']} of {graph.nodes[head]['op']}: {_value(graph.nodes[tail])}"
    st.caption(common.plain(" · ".join([used, *_line(graph.nodes[head])])))
    if derivative is None:
        st.info("No gradient goes through this edge.")
    else:
        _derivative(derivative)
    upstream = graph.nodes[head]["upstream_gradient"]
    _summaries({"upstream": upstream, "downstream": data["downstream_gradient"]})
    if derivative is not None:
        _picture(derivative)


def _derivative(derivative: gradtrace.LocalDerivative) -> None:
    norm = ("≈ " if derivative.estimated else "") + number(derivative.norm)
    st.markdown(f"gain **{number(derivative.gain)}** · ‖∂result/∂operand‖ **{norm}**")
    sizes = f"{shape(derivative.result_shape)} by {shape(derivative.operand_shape)}"
    st.caption(f"local derivative: {derivative.structure}, {sizes}")
    if derivative.formula is not None:
        st.latex(derivative.formula)


def _picture(derivative: gradtrace.LocalDerivative) -> None:
    sides = math.prod(derivative.result_shape), math.prod(derivative.operand_shape)
    if math.prod(sides) > DRAWN or 0 in sides:
        return
    try:
        array = derivative.dense(limit=DRAWN)
    except GradtraceError as error:
        st.caption(common.plain(str(error)))
        return
    svg = jacobian(array, sides, theme=common.theme())
    rows = array.reshape(sides).tolist
    common.chart(svg, key="jacobian", name="jacobian", rows=rows)


def _summaries(found: Mapping[str, Any]) -> None:
    """Show summaries side by side, a column each; what was not computed is said to be so."""
    columns: dict[str, Summary | None] = {}
    for name, summary in found.items():
        if isinstance(summary, tuple):
            columns |= {f"{name} {index}": each for index, each in enumerate(summary)}
        else:
            columns[name] = summary
    rows = [{"": field, **{n: _field(s, field) for n, s in columns.items()}} for field in FIELDS]
    st.dataframe(rows, hide_index=True, row_height=ROW)


FIELDS = ("shape", "dtype", "norm", "rms", "mean", "std", "min", "max", "nonfinite", "zeros")


def _field(summary: Summary | None, field: str) -> str:
    if summary is None:
        return NOT_COMPUTED if field == "norm" else ""
    value = getattr(summary, field)
    if field == "shape":
        return shape(value)
    return value if isinstance(value, str) else number(value)


def edges(
    graph: gradtrace.Graph, found: Sequence[tuple[str, str, Any]], *, choose: Callable[[Any], None]
) -> None:
    """List edges; the one that is chosen is told."""
    rows = [
        {"operand": tail, "result": head, **_back(graph.edges[tail, head, key])}
        for tail, head, key in found
    ]
    picked = st.dataframe(
        rows,
        hide_index=True,
        row_height=ROW,
        on_select="rerun",
        selection_mode="single-row",
        key="edges",
    )
    if chosen := picked["selection"]["rows"]:
        choose(found[chosen[0]])
        st.rerun()


def chain(graph: gradtrace.Graph, name: str) -> None:
    """Show the chain rule from the loss back to a node, in symbols and numbers."""
    try:
        with st.spinner("Following the chain rule …"):
            st.markdown(_explained(graph, name))
    except GradtraceError as error:
        st.info(common.plain(str(error)))


@lru_cache(maxsize=64)
def _explained(graph: gradtrace.Graph, name: str) -> str:
    return str(graph.explain(name, form="markdown"))


def paths(graph: gradtrace.Graph, name: str) -> None:
    """Show what came back along each path, and along each use where a value has several."""
    try:
        found = _paths(graph, name)
    except GradtraceError as error:
        st.info(common.plain(str(error)))
        return
    ways = [
        {"share": percent(way.share), "gain": number(way.gain)}
        | ({"norm": number(way.norm)} if found.resolved else {})
        | {"path, from here to the loss": told(way, found.paths[0])}
        for way in found.paths
    ]
    _table(ways, "paths")
    others = f" The other {found.rest.count:,} together: {percent(found.rest.share)}."
    reason = "" if found.resolved else f" Shares are estimated from the fan-outs: {found.reason}."
    lead = "leads" if found.count == 1 else "lead"
    sentence = f"{counted(found.count, 'path')} {lead} from {found.target} to here."
    st.caption(common.plain(sentence + others * (found.rest.count > 0) + reason))
    uses = [
        {"value": split.node, "came back along": use.name}
        | {"share": percent(use.share), "norm": number(use.norm)}
        | {"skips": "" if use.skips is None else f"{use.skips:,} calls"}
        for split in found.splits
        for use in split.shares
    ]
    if uses:
        st.caption("A value with several uses gets the sum of what comes back along each of them:")
        _table(uses, "uses")


def _table(rows: Sequence[Mapping[str, str]], name: str) -> None:
    st.dataframe(rows, hide_index=True, row_height=ROW)
    table = [tuple(rows[0]), *(tuple(row.values()) for row in rows)] if rows else []
    common.take_away(key=f"{name} files", name=name, rows=lambda: table)


@lru_cache(maxsize=64)
def _paths(graph: gradtrace.Graph, name: str) -> gradtrace.Paths:
    return graph.paths(name)
