"""Read a graph from a JSON document that may be damaged or forged."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from gradtrace.derivative import LocalDerivative
from gradtrace.files.encode import COUNTS, MEASURES, STATISTICS
from gradtrace.files.schema import LARGEST, is_count, require
from gradtrace.summary import Summary
from gradtrace.tape import EdgeRecord, NodeRecord, Source

__all__ = ["decode"]

AXES = 64
"""Axes that an array can have."""

NONFINITE = ("nan", "inf", "-inf")

Array = npt.NDArray[np.generic]
Shape = tuple[int, ...]


def decode(
    document: Mapping[str, Any], arrays: Mapping[str, Array]
) -> tuple[dict[str, Any], list[NodeRecord], list[EdgeRecord]]:
    """Return attributes, nodes and edges of a document, for `require_records` to judge.

    Raises `MalformedError` for what no saved graph has, or what its nature makes Python raise.
    """
    decoder = _Decoder(document, arrays)
    nodes: list[NodeRecord] = [
        (_text(row[0], "a node id"), decoder.attributes(row[1:]))
        for row in _rows(document, "nodes")
    ]
    names = [node for node, _ in nodes]
    edges: list[EdgeRecord] = []
    for row in _rows(document, "edges"):
        for end in row[:2]:
            require(is_count(end) and end < len(names), f"there is no node number {end!r:.40}")
        attributes = decoder.attributes(row[3:])
        edges.append((names[row[0]], names[row[1]], row[2], attributes))
    return decoder.attributes(document["graph"]), nodes, edges


class _Decoder:
    """The tables that attributes refer to."""

    def __init__(self, document: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
        self._arrays = arrays
        self._complex: dict[str, Array] = {}
        self._layouts = [
            [_text(name, "the name of an attribute") for name in row]
            for row in _rows(document, "layouts")
        ]
        self._tables: dict[str, list[Any]] = {
            "source": [_source(row) for row in _rows(document, "sources")],
            "summary": self._summaries(_rows(document, "summaries")),
            "derivative": self._derivatives(_rows(document, "derivatives")),
        }

    def attributes(self, row: Any) -> dict[str, Any]:
        """Return attributes by name."""
        require(isinstance(row, list) and bool(row), "attributes are not a list")
        require(is_count(row[0]) and row[0] < len(self._layouts), "attributes without names")
        names = self._layouts[row[0]]
        require(len(names) == len(row) - 1, f"{len(row) - 1} values for {len(names)} attributes")
        return {name: self._value(value) for name, value in zip(names, row[1:], strict=True)}

    def _value(self, value: Any) -> Any:
        if not isinstance(value, list):
            require(not isinstance(value, dict), "a value is an object")
            return value
        require(bool(value), "a value is an empty list")
        tag, *rest = value
        require(isinstance(tag, str), f"no value is tagged {tag!r:.40}")
        if tag in ("tuple", "list"):
            parts = [self._value(part) for part in rest]
            return tuple(parts) if tag == "tuple" else parts
        if tag == "dict":
            return {_text(key, "a key"): self._value(part) for key, part in rest}
        require(len(rest) == 1, f"a value tagged {tag!r:.40} has {len(rest)} parts")
        if tag == "float":
            require(rest[0] in NONFINITE, f"{rest[0]!r:.40} is no number")
            return float(rest[0])
        require(tag in self._tables, f"no value is tagged {tag!r:.40}")
        table = self._tables[tag]
        require(is_count(rest[0]) and rest[0] < len(table), f"no {tag} number {rest[0]!r:.40}")
        return table[rest[0]]

    def _summaries(self, rows: list[list[Any]]) -> list[Summary]:
        numbers = self._numbers("summaries", len(rows), STATISTICS)
        return [
            self._summary(row, statistics) for row, statistics in zip(rows, numbers, strict=True)
        ]

    def _summary(self, row: list[Any], statistics: dict[str, float | None]) -> Summary:
        shape, dtype, device, name = row
        axes, array = _shape(shape), self._array(name)
        if array is not None:
            problem = f"an array of shape {array.shape} in a summary of shape {axes}"
            require(array.shape == axes, problem)
        found: dict[str, Any] = dict(statistics)
        for count in COUNTS:
            found[count] = _count(statistics[count])
        kind, place = _text(dtype, "a dtype"), _text(device, "a device")
        return Summary(axes, kind, place, **found, array=array)

    def _derivatives(self, rows: list[list[Any]]) -> list[LocalDerivative]:
        numbers = self._numbers("derivatives", len(rows), MEASURES)
        return [
            self._derivative(row, measures) for row, measures in zip(rows, numbers, strict=True)
        ]

    def _derivative(self, row: list[Any], measures: dict[str, float | None]) -> LocalDerivative:
        structure, result, operand, name, estimated, reason, rule = row
        require(isinstance(estimated, bool), "estimated is neither true nor false")
        return LocalDerivative(
            _text(structure, "a structure"),
            _shape(result),
            _shape(operand),
            array=self._array(name),
            estimated=estimated,
            reason=None if reason is None else _text(reason, "a reason"),
            rule=_rule(rule),
            **measures,
        )

    def _array(self, name: Any) -> Array | None:
        if name is None:
            return None
        require(isinstance(name, str) and name in self._arrays, f"there is no array {name!r:.40}")
        array = self._arrays[name]
        if not name.startswith("complex."):
            return array
        if name in self._complex:
            return self._complex[name]
        pairs = array.ndim > 0 and array.shape[-1] == 2 and array.dtype.kind == "f"
        require(pairs, f"array {name!r:.40} has no real and imaginary parts")
        kind = np.result_type(array.dtype, np.complex64)
        whole: npt.NDArray[Any] = np.empty(array.shape[:-1], kind)
        whole.real[...], whole.imag[...] = array[..., 0], array[..., 1]
        self._complex[name] = whole
        return whole

    def _numbers(
        self, name: str, rows: int, columns: tuple[str, ...]
    ) -> list[dict[str, float | None]]:
        """Return the numbers in each row of a table, None where there is none."""
        require(name in self._arrays, f"the numbers of its {name} are missing")
        planes = self._arrays[name]
        fits = planes.shape == (2, rows, len(columns)) and planes.dtype == np.float64
        require(fits, f"the numbers of its {name} are {planes.dtype} {planes.shape}")
        values, known = planes.tolist()
        return [
            {
                column: value if there else None
                for column, value, there in zip(columns, row, mask, strict=True)
            }
            for row, mask in zip(values, known, strict=True)
        ]


def _rows(document: Mapping[str, Any], name: str) -> list[list[Any]]:
    """Return a table of the document."""
    rows = document[name]
    right = isinstance(rows, list) and all(isinstance(row, list) for row in rows)
    require(right, f"its {name} are not a table")
    return rows  # type: ignore[no-any-return]


def _source(row: list[Any]) -> Source:
    file, line, function = row
    require(is_count(line), "a line of a source is no number")
    return Source(_text(file, "a file of a source"), line, _text(function, "a function"))


def _shape(axes: Any) -> Shape:
    right = isinstance(axes, list) and len(axes) <= AXES and all(map(is_count, axes))
    require(right, f"{axes!r:.80} is no shape")
    require(math.prod(axes) < LARGEST, f"a tensor of shape {axes!r:.80} has too many elements")
    return tuple(axes)


def _rule(rule: Any) -> tuple[str, str] | str | None:
    if not isinstance(rule, list):
        return None if rule is None else _text(rule, "a formula")
    op, operand = rule
    return _text(op, "an operation"), _text(operand, "an operand")


def _count(number: float | None) -> int | None:
    if number is None:
        return None
    whole = math.isfinite(number) and number == int(number) and number >= 0
    require(whole, f"{number} counts no elements")
    return int(number)


def _text(value: Any, what: str) -> str:
    require(isinstance(value, str), f"{what} is {value!r:.40}, not text")
    return value  # type: ignore[no-any-return]
