"""Say why an operation makes NaN or infinity, by a table of what each cannot do."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import networkx as nx

from gradtrace.analysis.diagnose.trunk import is_leaf
from gradtrace.analysis.flow import Edge, parts_of, shown
from gradtrace.summary import Summary

__all__ = ["singular", "why_infinite_slope", "why_nonfinite"]


class Row(NamedTuple):
    """What an operation does with certain operands."""

    ops: str
    applies: Callable[[list[Summary]], bool]
    cause: str
    remedy: str


def _low(values: list[Summary], index: int = 0) -> float:
    found = values[index].min if len(values) > index else None
    return math.nan if found is None else found


def _high(values: list[Summary], index: int = 0) -> float:
    found = values[index].max if len(values) > index else None
    return math.nan if found is None else found


def _has_zero(values: list[Summary], index: int) -> bool:
    """Tell whether an operand has a 0, as far as is known: else whether it may have one."""
    if len(values) <= index:
        return False
    value = values[index]
    if value.zeros is not None:
        return value.zeros > 0
    return _low(values, index) <= 0 <= _high(values, index)


EPSILON = "add a small ε, clamp it away from 0, or choose with torch.where before the call"

VALUES = [
    Row("div true_divide divide div_ rdiv rtruediv truediv itruediv",
        lambda v: len(v) > 1 and _has_zero(v, 1) and _has_zero(v, 0), "it divides 0 by 0",
        EPSILON),
    Row("div true_divide divide div_ rdiv rtruediv truediv itruediv",
        lambda v: _has_zero(v, len(v) - 1), "it divides by 0", EPSILON),
    Row("reciprocal rsqrt", lambda v: _has_zero(v, 0), "it divides by 0", EPSILON),
    Row("log log2 log10 log_", lambda v: _low(v) < 0, "it takes the logarithm of numbers below 0",
        "clamp its operand to what is positive"),
    Row("log log2 log10 log_", lambda v: _low(v) == 0, "it takes the logarithm of 0",
        EPSILON + "; of a softmax take log_softmax"),
    Row("log1p", lambda v: _low(v) <= -1, "it takes the logarithm of 0 or less", EPSILON),
    Row("sqrt rsqrt", lambda v: _low(v) < 0, "it takes the root of numbers below 0",
        "clamp its operand to what is positive"),
    Row("exp exp_ expm1 exp2 sinh cosh", lambda v: _high(v) > 10,
        "its operand is too large, and it overflows",
        "subtract the maximum first (log_softmax, logsumexp), or clamp its operand"),
    Row("acos asin arccos arcsin", lambda v: _low(v) < -1 or _high(v) > 1,
        "its operand lies outside −1 to 1", "clamp its operand to −1 to 1"),
    Row("pow pow_ rpow float_power ipow", lambda v: _low(v) < 0,
        "it raises numbers below 0 to a power that is no integer", "clamp its operand"),
    Row("pow pow_ rpow float_power ipow", lambda v: _has_zero(v, 0),
        "it raises 0 to a power below 0, or overflows", EPSILON),
    Row("softmax _softmax log_softmax logsumexp scaled_dot_product_attention",
        lambda v: _low(v) == -math.inf or _low(v, 3) == -math.inf,
        "all of a row is −infinity: a mask leaves it nothing to attend to",
        "let every row see at least itself, or mask with a large finite number"),
    Row("mean std var nanmean", lambda v: any(not each.size for each in v),
        "it takes the mean of nothing", "look at why its operand is empty"),
    Row("std var std_mean var_mean", lambda v: True,
        "it takes the deviation of a single element", "pass correction=0, or use more elements"),
    Row("cross_entropy nll_loss", lambda v: True,
        "there is no target to take the mean over, or a score is not finite",
        "look at ignore_index: all targets may be ignored"),
    Row("binary_cross_entropy", lambda v: True, "a probability lies outside 0 to 1",
        "use binary_cross_entropy_with_logits"),
]  # fmt: skip

SLOPES = [
    Row("sqrt", lambda v: _low(v) == 0, "the derivative of sqrt is infinite at 0", EPSILON),
    Row("pow pow_ rpow float_power", lambda v: _has_zero(v, 0),
        "the derivative of a power below 1 is infinite at 0", EPSILON),
    Row("asin acos arcsin arccos", lambda v: _low(v) == -1 or _high(v) == 1,
        "the derivative is infinite at −1 and 1", "clamp its operand inside −1 to 1"),
    Row("acosh arccosh", lambda v: _low(v) == 1, "the derivative is infinite at 1", EPSILON),
    Row("std var std_mean", lambda v: _low(v) == _high(v),
        "the derivative of a standard deviation does not exist where all elements are equal",
        "add a small ε to the variance before the root"),
    Row("norm vector_norm linalg_vector_norm cdist", lambda v: _low(v) == _high(v) == 0,
        "the derivative of a norm does not exist at 0", "add a small ε under the root"),
    Row("div true_divide divide rdiv rtruediv truediv reciprocal",
        lambda v: _has_zero(v, len(v) - 1), "its divisor has a 0", EPSILON),
    Row("log log2 log10", lambda v: _low(v) == 0, "the derivative of log is infinite at 0",
        EPSILON),
    Row("atan2 arctan2", lambda v: _has_zero(v, 0), "the angle of (0, 0) has no derivative",
        EPSILON),
]  # fmt: skip

SINGULAR = ("sqrt", "asin", "acos", "arcsin", "arccos", "acosh", "arccosh")
"""Operations whose derivative is infinite at a point where their value is not."""


def why_nonfinite(graph: nx.MultiDiGraph[str], node: str, what: str) -> tuple[str, str]:
    """Return cause and remedy for a node at which `what`, NaN or infinity, comes up."""
    data = graph.nodes[node]
    if is_leaf(data):
        cause = f"{what} is in this {data.get('kind')} before any call uses it"
        return cause, "clean the data, or look at the step that wrote the parameter before this one"
    operands = _operands(graph, node)
    row = _fitting(VALUES, str(data.get("op")), operands)
    if row is not None:
        return f"{what} comes up here: {row.cause}", row.remedy
    ranges = ", ".join(f"{shown(each.min)} to {shown(each.max)}" for each in operands)
    cause = f"{what} comes up here, from operands of {ranges or 'unknown range'}"
    return cause, "look at what this call cannot do, and keep its operands away from there"


def why_infinite_slope(graph: nx.MultiDiGraph[str], edge: Edge) -> tuple[str, str]:
    """Return cause and remedy for an edge that makes a finite gradient infinite or NaN."""
    operand, result, _ = edge
    op = str(graph.nodes[result].get("op"))
    row = _fitting(SLOPES, op, _operands(graph, result))
    if row is not None:
        return f"the gradient of {operand} is lost here: {row.cause}", row.remedy
    cause = f"the gradient of {operand} is lost here: what came to {op} was finite"
    return cause, "look where the derivative of this call is infinite, and keep away from there"


def singular(graph: nx.MultiDiGraph[str], edge: Edge) -> bool:
    """Tell whether the derivative is infinite by what is known of the operation."""
    op = str(graph.nodes[edge[1]].get("op"))
    return op in SINGULAR and _fitting(SLOPES, op, _operands(graph, edge[1])) is not None


def _fitting(rows: list[Row], op: str, operands: list[Summary]) -> Row | None:
    fitting = (row for row in rows if op in row.ops.split() and operands and row.applies(operands))
    return next(fitting, None)


def _operands(graph: nx.MultiDiGraph[str], node: str) -> list[Summary]:
    """Return the values of the operands in order, each at each place where it is used."""
    edges = sorted(graph.in_edges(node, keys=True), key=lambda edge: edge[2])
    return [part for edge in edges for part in parts_of(graph.nodes[edge[0]].get("value"))]
