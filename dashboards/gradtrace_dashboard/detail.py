"""What there is to say of one node or one edge of a graph: numbers, formula, the chain rule."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import streamlit as st

import gradtrace
from gradtrace.errors import GradtraceError
from gradtrace.render.numbers import number, shape
from gradtrace.summary import Summary
from gradtrace_dashboard import common
from gradtrace_dashboard.charts.jacobian import jacobian
from gradtrace_dashboard.pieces import drawing

__all__ = ["edge", "explanation", "node"]

DRAWN = 2**16
"""Elements of a Jacobian that is drawn."""


def node(graph: gradtrace.Graph, name: str) -> None:
    """Show the numbers of a node."""
    data = graph.nodes[name]
    st.markdown(f"##### `{name.replace('`', '')}`")
    made = f"{data['kind']}, {data['op']}" if data["op"] else data["kind"]
    source = data["source"]
    st.caption(common.plain(made + (f" · {source.file}:{source.line}" if source else "")))
    _summaries({"value": data["value"], "upstream gradient": data["upstream_gradient"]})
    incoming = graph.in_edges(name, keys=True, data=True)
    if incoming:
        st.caption("Operands, with what each edge makes of the gradient")
        st.dataframe([_line(tail, each) for tail, _, _, each in incoming], hide_index=True)


def _line(tail: str, data: Mapping[str, Any]) -> dict[str, str]:
    derivative = data["local_derivative"]
    downstream = data["downstream_gradient"]
    return {
        "operand": tail,
        "gain": number(derivative.gain) if derivative else "none",
        "‖downstream‖": number(downstream.norm if downstream else None),
    }


def edge(graph: gradtrace.Graph, tail: str, head: str, key: Any) -> None:
    """Show the numbers of an edge."""
    data = graph.edges[tail, head, key]
    derivative = data["local_derivative"]
    st.markdown(f"##### `{tail.replace('`', '')}` → `{head.replace('`', '')}`")
    st.caption(common.plain(f"operand {data['operand']} of {graph.nodes[head]['op']}"))
    if derivative is None:
        st.info("No gradient goes through this edge.")
    else:
        _derivative(derivative)
    upstream = graph.nodes[head]["upstream_gradient"]
    _summaries({"upstream gradient": upstream, "downstream gradient": data["downstream_gradient"]})
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
    drawing(jacobian(array, sides, theme=common.theme()), key="jacobian")


def _summaries(found: Mapping[str, Any]) -> None:
    """Show summaries side by side, a column each; what was not computed is said to be so."""
    columns: dict[str, Summary | None] = {}
    for name, summary in found.items():
        if isinstance(summary, tuple):
            columns |= {f"{name} {index}": each for index, each in enumerate(summary)}
        else:
            columns[name] = summary
    rows = [{"": field, **{n: _field(s, field) for n, s in columns.items()}} for field in FIELDS]
    st.dataframe(rows, hide_index=True)


FIELDS = ("shape", "dtype", "norm", "rms", "mean", "std", "min", "max", "nonfinite", "zeros")


def _field(summary: Summary | None, field: str) -> str:
    if summary is None:
        return "not computed" if field == "norm" else ""
    value = getattr(summary, field)
    if field == "shape":
        return shape(value)
    return value if isinstance(value, str) else number(value)


def explanation(graph: gradtrace.Graph, name: str) -> None:
    """Show the chain rule from the loss back to a node, in symbols and numbers."""
    try:
        text = str(graph.explain(name, form="markdown"))
    except GradtraceError as error:
        st.info(common.plain(str(error)))
        return
    st.markdown(text)
