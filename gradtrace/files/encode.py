"""Write a graph as a JSON document with arrays beside it.

Every JSON list is tagged by its first element, so that tuples, lists, summaries and the like come
back as what they were. Summaries, local derivatives and sources are rows of tables, which other
values refer to by number; one shared by several attributes stays one. Their numbers are in float64
matrices, where NaN, infinity and what was not computed are exact.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from gradtrace.derivative import LocalDerivative
from gradtrace.files.schema import MalformedError
from gradtrace.summary import Summary
from gradtrace.tape import EdgeRecord, NodeRecord, Source

__all__ = ["COUNTS", "MEASURES", "STATISTICS", "encode"]

STATISTICS = ("norm", "mean", "std", "min", "max", "nonfinite", "zeros")
"""Columns of the matrix of summaries."""

COUNTS = ("nonfinite", "zeros")
"""Those of them that are integers."""

MEASURES = ("norm", "gain")
"""Columns of the matrix of local derivatives."""

TYPES = {
    "bool",
    *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "float32", "float64", "complex64", "complex128"),
}
"""NumPy's names of the types of arrays that a file keeps."""

Array = npt.NDArray[Any]


def encode(
    attributes: Mapping[str, Any], nodes: list[NodeRecord], edges: list[EdgeRecord]
) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return the document and the arrays of a graph.

    Raises `MalformedError` for an attribute that a file cannot keep.
    """
    encoder = _Encoder()
    numbers = {node: number for number, (node, _) in enumerate(nodes)}
    document: dict[str, Any] = {
        "graph": encoder.attributes("the graph", attributes),
        "nodes": [[node, *encoder.attributes(f"node {node!r}", data)] for node, data in nodes],
        "edges": [
            [numbers[u], numbers[v], key, *encoder.attributes(f"edge {u!r} → {v!r}", data)]
            for u, v, key, data in edges
        ],
    }
    return document | encoder.tables(), encoder.tensors()


class _Encoder:
    """The tables that fill while attributes are written."""

    def __init__(self) -> None:
        self._arrays: dict[str, Array] = {}
        self._names: dict[int, str] = {}
        self._layouts: dict[tuple[str, ...], int] = {}
        self._sources: dict[Source, int] = {}
        self._numbers: dict[int, int] = {}
        self._summaries: list[Summary] = []
        self._derivatives: list[LocalDerivative] = []

    def attributes(self, where: str, data: Mapping[str, Any]) -> list[Any]:
        """Return the number of the attribute names, then the values."""
        names = tuple(data)
        if not all(isinstance(name, str) for name in names):
            raise MalformedError(f"{where} has an attribute whose name is not text")
        layout = self._layouts.setdefault(names, len(self._layouts))
        return [layout, *(self._value(f"{where}: {name}", data[name]) for name in names)]

    def tables(self) -> dict[str, Any]:
        """Return the part of the document that attributes refer to."""
        return {
            "layouts": [list(names) for names in self._layouts],
            "sources": [list(source) for source in self._sources],
            "summaries": [
                [list(each.shape), each.dtype, each.device, self._array("a summary", each.array)]
                for each in self._summaries
            ],
            "derivatives": [
                [
                    each.structure,
                    list(each.result_shape),
                    list(each.operand_shape),
                    self._array("a local derivative", each.array),
                    each.estimated,
                    each.reason,
                    _rule(each.rule),
                ]
                for each in self._derivatives
            ],
        }

    def tensors(self) -> dict[str, Array]:
        """Return the arrays; to be called after `tables`."""
        return self._arrays | {
            "summaries": _matrix(self._summaries, STATISTICS),
            "derivatives": _matrix(self._derivatives, MEASURES),
        }

    def _value(self, where: str, value: Any) -> Any:
        if value is None or type(value) in (bool, int, str):
            return value
        if type(value) is float:
            return value if math.isfinite(value) else ["float", str(value)]
        if isinstance(value, Summary):
            return ["summary", self._number(value, self._summaries)]
        if isinstance(value, LocalDerivative):
            return ["derivative", self._number(value, self._derivatives)]
        if isinstance(value, Source):
            return ["source", self._sources.setdefault(value, len(self._sources))]
        if type(value) in (tuple, list):
            return [type(value).__name__, *(self._value(where, part) for part in value)]
        if type(value) is dict and all(type(key) is str for key in value):
            pairs = [[key, self._value(where, part)] for key, part in value.items()]
            return ["dict", *pairs]
        raise MalformedError(
            f"{where} is of type {type(value).__qualname__!r}, which a file cannot keep; use "
            "numbers, texts, True, False, None, or tuples, lists and dicts of them"
        )

    def _number(self, value: Any, table: list[Any]) -> int:
        if id(value) not in self._numbers:
            self._numbers[id(value)] = len(table)
            table.append(value)
        return self._numbers[id(value)]

    def _array(self, where: str, array: Array | None) -> str | None:
        """Return the name of the tensor that keeps `array`; complex ones are kept as pairs."""
        if array is None:
            return None
        if id(array) not in self._names:
            if array.dtype.newbyteorder("=").name not in TYPES:
                raise MalformedError(
                    f"{where} has an array of type {array.dtype}, no type of a tensor"
                )
            native = np.asarray(array, array.dtype.newbyteorder("="), order="C")
            kind = "complex" if array.dtype.kind == "c" else "array"
            name = f"{kind}.{len(self._names)}"
            self._arrays[name] = _pairs(native) if kind == "complex" else native
            self._names[id(array)] = name
        return self._names[id(array)]


def _rule(rule: Any) -> list[str] | str | None:
    """Return where a formula is found, or a backend's own formula as text."""
    if rule is None:
        return None
    return list(rule) if isinstance(rule, tuple) else str(rule)


def _pairs(array: Array) -> Array:
    """Return real and imaginary parts along a last axis."""
    return np.stack([array.real, array.imag], axis=-1)


def _matrix(rows: list[Any], columns: tuple[str, ...]) -> npt.NDArray[np.float64]:
    """Return numbers as a matrix of two planes: the numbers, and 1 where there is one."""
    found = [[getattr(row, name) for name in columns] for row in rows]
    planes = [
        [[0.0 if number is None else float(number) for number in row] for row in found],
        [[float(number is not None) for number in row] for row in found],
    ]
    return np.array(planes, np.float64).reshape(2, len(rows), len(columns))
