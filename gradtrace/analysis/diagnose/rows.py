"""Find single rows of a batch that most of the gradient comes from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import networkx as nx
import numpy as np

from gradtrace.analysis.agreement import Array, finite
from gradtrace.analysis.diagnose.findings import Finding, Report, Undetermined
from gradtrace.analysis.diagnose.thresholds import Thresholds
from gradtrace.analysis.diagnose.trunk import Trunk, is_leaf, trunk_of
from gradtrace.summary import Summary

__all__ = ["find_dominant_rows"]

RULE = "dominant_row"


class _Row(NamedTuple):
    node: str
    row: int
    rows: int
    share: float


def find_dominant_rows(graph: nx.MultiDiGraph[str], thresholds: Thresholds) -> Iterator[Report]:
    """Report a row that outweighs all others together in the gradient of the parameters."""
    trunk = trunk_of(graph)
    calls = [node for node in trunk.order if node in trunk.parametric and trunk.norms[node]]
    kept = [node for node in calls if _rows(graph.nodes[node].get("upstream_gradient")) is not None]
    if calls and not kept:
        yield Undetermined(RULE, "gradients are kept as summaries; trace with keep='all'")
        return
    found = [row for node in kept for row in _dominant(graph, trunk, node, thresholds)]
    for number in dict.fromkeys(row.row for row in found):
        worst = max((row for row in found if row.row == number), key=lambda row: row.share)
        yield _finding(graph, worst, thresholds)


def _dominant(
    graph: nx.MultiDiGraph[str], trunk: Trunk, node: str, thresholds: Thresholds
) -> Iterator[_Row]:
    """Yield the row that dominates one call: ‖δ‖ ‖x‖ is what a row adds to its parameters."""
    weights = _rows(graph.nodes[node]["upstream_gradient"])
    if weights is None or len(weights) < thresholds.dominant_rows:
        return
    for operand in dict.fromkeys(graph.predecessors(node)):
        rows = _rows(graph.nodes[operand].get("value"))
        data = graph.nodes[operand]
        known = operand in trunk.activations or (is_leaf(data) and data.get("kind") == "input")
        if known and rows is not None and len(rows) == len(weights) and data["value"].shape[1:]:
            weights = weights * rows
    total = float(weights.sum())
    if not np.isfinite(total) or not total:
        return
    row = int(weights.argmax())
    share = float(weights[row]) / total
    if share > thresholds.dominant:
        yield _Row(node, row, len(weights), share)


def _rows(value: object) -> Array | None:
    """Return the norm of each row of what is kept of a tensor of floats."""
    if not isinstance(value, Summary) or value.array is None or not value.shape:
        return None
    if value.array.dtype.kind not in "fc" or not value.size:
        return None
    flat = np.abs(value.array.reshape(len(value.array), -1)).astype(np.float64)
    rows: Array = np.linalg.norm(flat, axis=1)
    return rows


def _finding(graph: nx.MultiDiGraph[str], found: _Row, thresholds: Thresholds) -> Finding:
    outlier = _outlier(graph, found, thresholds.outlier)
    numbers = {"row": found.row, "rows": found.rows, "share": found.share}
    source = graph.nodes[found.node].get("source")
    start = (
        f"row {found.row} of {found.rows} makes {found.share:.0%} of the gradient at {found.node}"
    )
    if outlier is None:
        cause = f"{start}: a hard example, or one with a wrong label"
        remedy = "look at this row; clip the gradient if such rows come often"
        return Finding(RULE, "note", found.node, None, numbers, cause, remedy, source)
    leaf, times = outlier
    cause = f"{start}: in {leaf} it is {times:,.0f} × as large as the others"
    remedy = "look at this row of the data; normalize it, or use a loss that is robust to outliers"
    return Finding(RULE, "warning", found.node, None, numbers | {"leaf": leaf, "times": times},
                   cause, remedy, source)  # fmt: skip


def _outlier(graph: nx.MultiDiGraph[str], found: _Row, limit: float) -> tuple[str, float] | None:
    """Return the data in which this row is larger than the others, with how many times."""
    best: tuple[str, float] | None = None
    for node, data in graph.nodes(data=True):
        if data.get("kind") not in ("input", "constant"):
            continue
        rows = _rows(data.get("value"))
        if rows is None or len(rows) != found.rows:
            continue
        middle = finite(float(np.median(rows)))
        times = float(rows[found.row]) / middle if middle else 0.0
        if times > limit and (best is None or times > best[1]):
            best = node, times
    return best
