"""A graph as GraphML, for yEd, Gephi, Cytoscape or igraph."""

from __future__ import annotations

import io
import json
from typing import Any

import networkx as nx

from gradtrace.render.nodelink import bare

__all__ = ["write"]

TENSORS = {"value": "value", "upstream_gradient": "upstream", "downstream_gradient": "downstream"}
"""Attributes that are tensors, with the first part of their columns' names."""


def write(graph: nx.MultiDiGraph[str]) -> str:
    r"""Return `graph` as GraphML: a column for each number, text for what is none.

    Characters that XML cannot hold are written as escapes, such as `\x00`.
    """
    flat: nx.MultiDiGraph[str] = nx.MultiDiGraph()
    plain = bare(graph)
    flat.graph.update({name: _text(value) for name, value in plain.graph.items()})
    for node, data in plain.nodes(data=True):
        flat.add_node(_legal(node), label=_legal(node), **_columns(data))
    for tail, head, key, data in plain.edges(keys=True, data=True):
        flat.add_edge(_legal(tail), _legal(head), str(key), **_columns(data))
    file = io.BytesIO()
    nx.write_graphml_xml(flat, file, named_key_ids=False)
    return file.getvalue().decode()


def _columns(data: dict[str, Any]) -> dict[str, Any]:
    """Return attributes flat: `upstream_norm` and the like for a tensor, JSON for a list."""
    columns: dict[str, Any] = {}
    for name, value in data.items():
        if name in TENSORS:
            columns |= _statistics(TENSORS[name], value)
        elif isinstance(value, bool):
            columns[name] = value
        elif value is not None:
            columns[name] = _number(value)
    return columns


def _statistics(prefix: str, tensors: list[dict[str, Any] | None] | None) -> dict[str, Any]:
    """Return the columns of one tensor; several are kept as JSON only."""
    if not tensors:
        return {}
    if len(tensors) > 1 or tensors[0] is None:
        return {prefix: _text(tensors)}
    return {f"{prefix}_{name}": _number(value) for name, value in tensors[0].items()}


def _number(value: Any) -> Any:
    """Return a number as float, so that a column has one type; anything else as text."""
    names = {"NaN": float("nan"), "Inf": float("inf"), "-Inf": float("-inf")}
    if isinstance(value, str):
        return names[value] if value in names else _legal(value)
    return float(value) if isinstance(value, int | float) else _text(value)


def _text(value: Any) -> str:
    return _legal(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _legal(text: str) -> str:
    r"""Return `text` with the characters that XML forbids as escapes.

    >>> print(_legal("a\x00b<\n"))
    a\x00b<
    <BLANKLINE>
    """
    return "".join(c if _in_xml(ord(c)) else ascii(c)[1:-1] for c in text)


def _in_xml(code: int) -> bool:
    if code < 0x20:
        return code in (0x9, 0xA)
    return not 0xD800 <= code < 0xE000 and code not in (0xFFFE, 0xFFFF)
