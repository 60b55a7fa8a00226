"""The words of a figure: what stands in its boxes, at its arrows, in its tooltips."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from gradtrace.derivative import LocalDerivative
from gradtrace.render.numbers import (
    NOT_COMPUTED,
    measure,
    middle,
    number,
    printable,
    shape,
    single,
)
from gradtrace.render.options import SHOWN
from gradtrace.render.parts import Row
from gradtrace.render.pieces import Arrow, Box
from gradtrace.render.runs import Run
from gradtrace.summary import Summary

__all__ = [
    "arrow_label",
    "arrow_tooltip",
    "edge_label",
    "measures",
    "node_rows",
    "node_tooltip",
    "summaries",
]

NAME = 26
"""Characters of a name in a figure; the whole name is in the tooltip."""

DETAIL = 40
"""Characters of a line in small print."""

SEVERAL = 3
"""Results of one call whose numbers are shown."""


def summaries(value: object) -> tuple[Summary | None, ...]:
    """Return the summaries of a node's value or upstream gradient, which may be several."""
    if isinstance(value, tuple):
        return value
    assert value is None or isinstance(value, Summary)
    return (value,)


def measures(value: object) -> list[tuple[str, bool]]:
    """Write each tensor as one number; a dash where only others of several are known."""
    values = summaries(value)
    known = any(summary is not None for summary in values)
    return [("–", False) if known and s is None else measure(s) for s in values]


def node_rows(
    box: Box, *, scope: str, dtype: str | None, show: frozenset[str] = frozenset(SHOWN)
) -> tuple[Row, ...]:
    """Return the label of a box in the frame of `scope`; `dtype` is the usual one."""
    data = box.data
    if box.node is None:
        return (Row(box.text),)
    name = _name(box, scope)
    details = _details(box, name, dtype, sizes="shapes" in show)
    rows = [Row(middle(name, NAME), "name")]
    rows += [Row(middle(printable(text), DETAIL)) for text in details]
    if "values" in show:
        rows += _measures("value", data, "value")
    if "upstream_gradients" in show and data["differentiable"]:
        rows += _measures("upstream", data, "upstream_gradient")
    return tuple(rows)


def _name(box: Box, scope: str) -> str:
    """Return the name of a node in the frame of `scope`; blocks drawn as one have one for all."""
    assert box.node is not None
    run: Run | None = box.data.get("run")
    if run is not None and run.calls == 1 and run.numbers[0] and box.folded:
        return printable(run.name)
    inner = box.node.removeprefix(f"{scope}.") if scope else box.node
    if scope and inner.isdigit():
        inner = f"{scope.rpartition('.')[2]}.{inner}"
    return printable(inner)


def _details(box: Box, name: str, dtype: str | None, *, sizes: bool) -> list[str]:
    """Return the small print: the operation where the name hides it, sizes, uses, notes."""
    data = box.data
    values = summaries(data["value"])
    op = data["op"] or ""
    told = re.sub(r"_\d+$", "", name.rpartition(".")[2])
    first = [op] if op not in ("", told) and data["kind"] != "item" else []
    if box.folded:
        first = [f"{box.folded:,} calls"]
    run: Run | None = data.get("run")
    if run is not None and run.calls == 1:
        first.insert(0, f"× {run.count:,}")
    if sizes and len(values) == 1 and values[0] is not None:
        first.append(shape(values[0].shape))
        first += [values[0].dtype] if values[0].dtype != dtype else []
    elif len(values) > 1:
        first.append(f"{len(values)} results")
    lines = [" · ".join(first)] if first else []
    if box.hidden:
        lines.append(f"{box.hidden:,} leaves inside")
    if box.use is not None:
        lines.append(f"use {box.use[0]:,} of {box.use[1]:,}")
    if data["note"] and len(values) == 1:
        lines.append(data["note"])
    return lines


def _measures(word: str, data: Mapping[str, Any], key: str) -> list[Row]:
    """Return the lines that give a tensor as one number, in all repetitions if it has several."""
    row = _measured(word, data[key])
    repeated = [_measured(word, each[key]) for each in data.get("repeated", ())]
    last = repeated[-1] if repeated else row
    if len({each.text for each in repeated}) < 2:
        return [row]
    if "," in row.text + last.text:
        return []  # the items of the call, which follow it, say more
    role = "alarm" if any(each.role == "alarm" for each in repeated) else "number"
    rows = [Row(f"{row.text} … {last.text}", role, last.caption or row.caption)]
    sizes = [size for each in data["repeated"] if (size := _size(each[key])) is not None]
    if len(sizes) == len(repeated) and not {min(sizes), max(sizes)} <= {sizes[0], sizes[-1]}:
        rows.append(Row(f"{number(min(sizes))} – {number(max(sizes))}", role, "range"))
    return rows


def _size(value: object) -> float | None:
    """Return a tensor as one real number: its element, or its norm."""
    summary = value if isinstance(value, Summary) else None
    if summary is None:
        return None
    element = single(summary)
    size = summary.norm if element is None else element
    return None if size is None or isinstance(size, complex) else float(size)


def _measured(word: str, value: object) -> Row:
    """Return the line that gives a tensor as one number: its element, or its norm."""
    values = summaries(value)
    shown = measures(value)[:SEVERAL]
    texts = [text for text, _ in shown] or [NOT_COMPUTED]
    if all(text == NOT_COMPUTED for text in texts):
        return Row(NOT_COMPUTED, "missing", word)
    texts += ["…"] if len(values) > SEVERAL else []
    alarm = any(summary is not None and _not_finite(summary) for summary in values)
    caption = f"‖{word}‖" if any(is_norm for _, is_norm in shown) else word
    return Row(", ".join(texts), "alarm" if alarm else "number", caption)


def _not_finite(summary: Summary) -> bool:
    return bool(summary.nonfinite) or not math.isfinite(summary.norm or 0.0)


def node_tooltip(box: Box) -> str:
    """Return all that is known of a box, a line each."""
    data = box.data
    if box.node is None:
        return box.text
    op = data["op"] if data["op"] and data["op"] != data["kind"] else ""
    lines = [f"{box.node}  ({' '.join(filter(None, (data['kind'], op)))})"]
    names = [name for name in data["names"] if name != box.node]
    lines += [f"also named {', '.join(names)}"] if names else []
    lines += [f"scope {data['scope']}"] if data["scope"] else []
    if box.folded:
        lines.append(f"{box.folded:,} calls folded, with {box.hidden:,} leaves that are not drawn")
    lines += _statistics("value", data["value"])
    if data["differentiable"]:
        lines += _statistics("upstream gradient", data["upstream_gradient"])
    if data["source"] is not None:
        source, line, function = data["source"]
        lines.append(f"{PurePath(source).name}:{line} in {function}")
    lines += [data["note"]] if data["note"] else []
    return "\n".join(map(printable, lines))


def _statistics(word: str, value: object) -> list[str]:
    return [f"{word}: {_described(summary)}" for summary in summaries(value)]


def _described(summary: Summary | None) -> str:
    if summary is None:
        return NOT_COMPUTED
    head = f"{shape(summary.shape)} {summary.dtype} on {summary.device}"
    known = [
        f"{name} {number(statistic)}"
        for name in ("norm", "mean", "std", "min", "max")
        if (statistic := getattr(summary, name)) is not None
    ]
    known += [f"{summary.nonfinite:,} not finite"] if summary.nonfinite else []
    return ", ".join([head, *known])


def arrow_label(arrow: Arrow, show: frozenset[str] = frozenset(SHOWN)) -> str:
    """Return the label of an arrow; one that bundles several edges says how many."""
    if arrow.uses > 1:
        return f"{arrow.uses:,} uses"
    return "" if arrow.data is None else edge_label(arrow.data, show)


def edge_label(data: Mapping[str, Any], show: frozenset[str] = frozenset(SHOWN)) -> str:
    """Write the local derivative: the number between scalars, else structure and gain.

    >>> relu = LocalDerivative("diagonal", (3,), (3,), gain=0.8312)
    >>> edge_label({"local_derivative": relu, "downstream_gradient": None})
    'diagonal ×0.831'
    """
    derivative: LocalDerivative | None = data["local_derivative"]
    if derivative is None:
        return ""
    local, gains = "local_derivatives" in show, "gains" in show
    slope = _slope(derivative)
    if slope is not None and local:
        return number(slope)
    gain = _gain(derivative, data["downstream_gradient"]) if gains else ""
    if not local or derivative.structure == "operator":
        return gain or (NOT_COMPUTED if gains and local else "")
    return f"{derivative.structure} {gain}".strip()


def _slope(derivative: LocalDerivative) -> complex | float | None:
    """Return the derivative of a scalar by a scalar, where it is known."""
    sizes = (math.prod(derivative.result_shape), math.prod(derivative.operand_shape))
    if sizes != (1, 1):
        return None
    if derivative.structure in ("identity", "zero"):
        return float(derivative.structure == "identity")
    if derivative.array is None:
        return None
    return single(Summary.of(derivative.array.reshape(()), keep=True))


def _gain(derivative: LocalDerivative, downstream: Summary | None) -> str:
    """Write the gain; where no gradient came, there is none to grow or shrink: 0/0."""
    if derivative.gain is not None:
        return f"×{number(derivative.gain)}"
    return "×0/0" if downstream is not None and downstream.norm == 0 else ""


def arrow_tooltip(tail: Box, head: Box, arrow: Arrow) -> str:
    """Return all that is known of an arrow, a line each."""
    ends, data = f"{_named(tail)} → {_named(head)}", arrow.data
    if arrow.uses > 1:
        ends = f"{arrow.uses:,} uses, of them the one with the largest gradient:\n{ends}"
    if data is None:
        return ends
    lines = [f"{ends}, operand {printable(str(data['operand']))}"]
    derivative: LocalDerivative | None = data["local_derivative"]
    if derivative is not None:
        sizes = (shape(derivative.result_shape), shape(derivative.operand_shape))
        lines.append(f"local derivative: {derivative.structure}, {sizes[0]} by {sizes[1]}")
        if derivative.norm is not None:
            about = "about " if derivative.estimated else ""
            lines.append(f"norm {about}{number(derivative.norm)}")
        lines.append(f"gain {number(derivative.gain)}")
        lines += _statistics("downstream gradient", data["downstream_gradient"])
    return "\n".join(lines)


def _named(box: Box) -> str:
    return printable(box.node if box.node is not None else box.text)
