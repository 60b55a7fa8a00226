"""The graph as text, the same for the same run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import networkx as nx

from gradtrace.derivative import LocalDerivative
from gradtrace.render.labels import measures, summaries
from gradtrace.render.numbers import NOT_COMPUTED, number, printable
from gradtrace.render.pieces import LEAVES, folded_calls
from gradtrace.summary import Summary
from gradtrace.tape import KINDS

__all__ = ["text"]

WIDEST = 72
"""Characters up to which a column grows; what is longer moves its own line only."""

OPERANDS = 6
"""Operands of a call that are written out."""

HEADINGS = ("kind", "node", "made by", "type", "value", "upstream gradient")


def text(graph: nx.MultiDiGraph[str]) -> str:
    """Return `graph` as text: a line for each node, in order.

    A tensor stands as its norm, a scalar as itself. An operand is followed by its gain, the
    share of the upstream gradient's norm that passes on to it.
    """
    nodes = sorted(graph.nodes, key=lambda node: graph.nodes[node]["order"])
    rows = [(*_columns(graph, node), _remarks(graph.nodes[node])) for node in nodes]
    head = _head(graph, [graph.nodes[node] for node in nodes])
    return "\n".join([head, *_aligned([(*HEADINGS, ""), *rows])]) if rows else head


def _head(graph: nx.MultiDiGraph[str], nodes: Sequence[Mapping[str, Any]]) -> str:
    """Return the first line: how much there is of what."""
    kinds = Counter(data["kind"] for data in nodes)
    parts = [_counted(kinds[kind], kind) for kind in KINDS if kinds[kind]]
    size = f"{_counted(len(graph), 'node')}, {_counted(graph.number_of_edges(), 'edge')}"
    backend = graph.graph.get("backend")
    head = f"graph of {size}" + (f" by {printable(backend)}" if backend else "")
    head += ": " + ", ".join(parts) if parts else ""
    return head if graph.graph.get("gradients", True) else f"{head}; no backward pass ran"


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _columns(graph: nx.MultiDiGraph[str], node: str) -> tuple[str, ...]:
    data = graph.nodes[node]
    upstream = _measures(data["upstream_gradient"]) if data["differentiable"] else ""
    return (
        data["kind"],
        printable(node),
        _made_by(graph, node, data),
        _types(data["value"]),
        _measures(data["value"]),
        upstream,
    )


def _made_by(graph: nx.MultiDiGraph[str], node: str, data: Mapping[str, Any]) -> str:
    """Write what made a node: the operation with its operands and their gains."""
    op = printable(data["op"] or "")
    if data["kind"] in LEAVES:
        return op
    edges = sorted(graph.in_edges(node, keys=True, data=True), key=lambda edge: _index(edge[2]))
    ran = graph.graph.get("gradients", True)
    operands = [_operand(tail, edge, ran=ran) for tail, _, _, edge in edges[:OPERANDS]]
    if len(edges) > OPERANDS:
        operands.append(f"… {len(edges) - OPERANDS:,} more")
    if data["kind"] == "item" and len(edges) == 1:
        return f"{operands[0]} at {printable(str(edges[0][3]['operand']))}"
    return f"{op}({', '.join(operands)})"


def _index(key: object) -> tuple[int, str]:
    return (key, "") if isinstance(key, int) else (-1, str(key))


def _operand(name: str, edge: Mapping[str, Any], *, ran: bool) -> str:
    """Write an operand with its gain, if a backward pass `ran` that could give it one."""
    derivative: LocalDerivative | None = edge["local_derivative"]
    downstream: Summary | None = edge["downstream_gradient"]
    if derivative is None or not ran:
        return printable(name)
    if derivative.gain is not None:
        return f"{printable(name)} ×{number(derivative.gain)}"
    unknown = downstream is None or downstream.norm != 0
    return f"{printable(name)} ×{f'({NOT_COMPUTED})' if unknown else '0/0'}"


def _types(value: object) -> str:
    return ", ".join(
        NOT_COMPUTED if summary is None else f"{summary.dtype}[{_sizes(summary.shape)}]"
        for summary in summaries(value)
    )


def _sizes(shape: tuple[int, ...]) -> str:
    return ", ".join(map(str, shape))


def _measures(value: object) -> str:
    """Write the norm of each tensor, or the element of a scalar."""
    shown = measures(value)
    return ", ".join(f"‖{number}‖" if is_norm else number for number, is_norm in shown)


def _remarks(data: Mapping[str, Any]) -> str:
    """Write what else is to be known of a node, as a comment."""
    remarks = []
    if data["seed"] is not None:
        remarks.append(f"output, seed {_measures(data['seed'])}")
    if folded_calls(data):
        remarks.append(f"{folded_calls(data):,} calls folded")
    for word, key in (("value", "value"), ("upstream gradient", "upstream_gradient")):
        bad = sum(s.nonfinite or 0 for s in summaries(data[key]) if s is not None)
        remarks += [f"{bad:,} not finite in its {word}"] if bad else []
    if len(data["names"]) > 1:
        remarks.append(f"also named {', '.join(map(printable, data['names'][1:]))}")
    remarks += [printable(data["note"])] if data["note"] else []
    return f"# {'; '.join(remarks)}" if remarks else ""


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Return rows as lines with aligned columns."""
    widths = [
        max((len(cell) for cell in column if len(cell) <= WIDEST), default=0)
        for column in zip(*rows, strict=True)
    ]
    return [_line(row, widths) for row in rows]


def _line(row: tuple[str, ...], widths: Sequence[int]) -> str:
    *cells, remarks = row
    padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=False)]
    return "  ".join([*padded, remarks]).rstrip()
