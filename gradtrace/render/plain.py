"""What a graph holds as plain data, small enough to be sent elsewhere."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from gradtrace.derivative import LocalDerivative
from gradtrace.formulas import derivative, find
from gradtrace.formulas.notation import parse
from gradtrace.formulas.writing import write
from gradtrace.render.labels import edge_label, summaries
from gradtrace.summary import Summary

__all__ = ["SHOWN", "edge_facts", "formula_text", "node_facts", "real"]

SHOWN = 16
"""Elements up to which a tensor's, or a Jacobian's, own numbers go along."""

STATISTICS = ("norm", "mean", "std", "min", "max", "nonfinite", "zeros")


def real(value: float | int | None) -> float | int | str | None:
    """Return a number as JSON can hold it: by its name where it is not finite.

    >>> real(float("nan")), real(0.5), real(float("-inf")), real(None)
    ('NaN', 0.5, '-Inf', None)
    """
    if value is None or isinstance(value, int) or math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Inf" if value > 0 else "-Inf"


def node_facts(node: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is known of a node."""
    facts: dict[str, Any] = {"id": node, "kind": data["kind"], "op": data["op"] or ""}
    facts["scope"] = data["scope"]
    facts["order"] = data["order"]
    facts["value"] = _tensors(data["value"])
    facts["upstream_gradient"] = _tensors(data["upstream_gradient"])
    facts["differentiable"] = bool(data["differentiable"])
    if data["seed"] is not None:
        facts["seed"] = _tensors(data["seed"])
    names = [name for name in data["names"] if name != node]
    if names:
        facts["names"] = names
    if data["source"] is not None:
        file, line, function = data["source"]
        facts["source"] = {"file": file, "line": line, "function": function}
    if data["note"]:
        facts["note"] = data["note"]
    if data.get("folded"):
        facts["folded"] = data["folded"]
    return facts


def edge_facts(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is known of an edge: its local derivative, its gain, what came back along it."""
    facts: dict[str, Any] = {"operand": str(data["operand"])}
    found: LocalDerivative | None = data["local_derivative"]
    if found is not None:
        facts["structure"] = found.structure
        facts["result_shape"] = list(found.result_shape)
        facts["operand_shape"] = list(found.operand_shape)
        facts["gain"] = real(found.gain)
        facts["norm"] = real(found.norm)
        facts["estimated"] = found.estimated
        facts["label"] = edge_label(data)
        facts["formula"] = formula_text(found)
        if found.array is not None and found.array.size <= SHOWN:
            facts["elements"] = _elements(found.array)
    facts["downstream_gradient"] = _tensors(data["downstream_gradient"])
    return {name: fact for name, fact in facts.items() if fact is not None}


def formula_text(found: LocalDerivative) -> str | None:
    """Return the local derivative in symbols, as one line of text.

    >>> formula_text(LocalDerivative("operator", (3,), (4, 3), rule=("linear", "weight")))
    'δᵀ x'
    >>> formula_text(LocalDerivative("diagonal", (3,), (3,), rule=("tanh", "input")))
    '1 − tanh(x)²'
    """
    if isinstance(found.rule, tuple):
        return _written(*found.rule)
    return None if found.rule is None else str(found.rule)


@lru_cache(maxsize=1024)
def _written(op: str, operand: str) -> str | None:
    row = find(op)
    symbol = row.symbol(operand) if row else None
    if row is None or symbol is None:
        return None
    text = str(derivative(row, symbol)) if row.pullbacks is None else row.pullbacks.get(symbol)
    return None if text is None else write(parse(text), {})


def _tensors(value: object) -> list[dict[str, Any] | None] | None:
    """Return each tensor of a value; None where nothing was computed."""
    known = summaries(value)
    return None if known == (None,) else [_tensor(summary) for summary in known]


def _tensor(summary: Summary | None) -> dict[str, Any] | None:
    if summary is None:
        return None
    facts: dict[str, Any] = {"shape": list(summary.shape), "dtype": summary.dtype}
    facts["device"] = summary.device
    for name in STATISTICS:
        statistic = getattr(summary, name)
        if statistic is not None:
            facts[name] = real(statistic)
    if summary.array is not None and summary.size <= SHOWN:
        facts["elements"] = _elements(summary.array)
    return facts


def _elements(array: Any) -> Any:
    """Return an array as nested lists, complex numbers as text."""

    def plain(value: Any) -> Any:
        if isinstance(value, list):
            return [plain(each) for each in value]
        return str(value) if isinstance(value, complex) else real(value)

    return plain(array.tolist())
