"""What the nodes and edges of a saved graph must hold."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from gradtrace.derivative import STRUCTURES, LocalDerivative
from gradtrace.summary import Summary
from gradtrace.tape import KINDS, EdgeRecord, NodeRecord, Source

__all__ = ["LARGEST", "MalformedError", "is_count", "require", "require_records"]

LARGEST = 2**63
"""What no number of elements, and no position, reaches."""


class MalformedError(ValueError):
    """Something is not as a saved graph has it."""


def require(condition: bool, problem: str) -> None:
    """Raise `MalformedError` unless `condition`."""
    if not condition:
        raise MalformedError(problem)


def is_count(value: object) -> bool:
    """Tell whether `value` is a plain integer from 0 to what a file can count.

    >>> is_count(3), is_count(True), is_count(-1), is_count(10**30)
    (True, False, False, False)
    """
    return type(value) is int and 0 <= value < LARGEST


def _optional(*types: type) -> Callable[[object], bool]:
    return lambda value: value is None or isinstance(value, types)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _is_kind(value: object) -> bool:
    return isinstance(value, str) and value in KINDS


def _tuple_of(fits: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, tuple) and all(map(fits, value))


_is_summary = _optional(Summary)


def _is_value(value: object) -> bool:
    return _is_summary(value) or _tuple_of(_is_summary)(value)


NODE: dict[str, tuple[Callable[[object], bool], str]] = {
    "kind": (_is_kind, f"one of {', '.join(KINDS)}"),
    "op": (_optional(str), "text or None"),
    "scope": (_is_text, "text"),
    "source": (_optional(Source), "a Source or None"),
    "order": (is_count, "an integer from 0"),
    "value": (_is_value, "a Summary, None, or a tuple of them"),
    "upstream_gradient": (_is_value, "a Summary, None, or a tuple of them"),
    "names": (_tuple_of(_is_text), "a tuple of texts"),
    "seed": (_is_summary, "a Summary or None"),
    "differentiable": (_is_flag, "True or False"),
    "invocations": (_tuple_of(is_count), "a tuple of integers from 0"),
    "note": (_optional(str), "text or None"),
}
"""Attributes of a node, each with its test and the words for it."""

EDGE: dict[str, tuple[Callable[[object], bool], str]] = {
    "operand": (_is_text, "text"),
    "local_derivative": (_optional(LocalDerivative), "a LocalDerivative or None"),
    "downstream_gradient": (_is_summary, "a Summary or None"),
}
"""Attributes of an edge."""


def require_records(nodes: list[NodeRecord], edges: list[EdgeRecord]) -> None:
    """Raise `MalformedError` unless `nodes` and `edges` make a graph of the one kind we know."""
    known: set[str] = set()
    for node, data in nodes:
        require(isinstance(node, str), f"the node id {node!r} is not text")
        require(node not in known, f"two nodes have the id {node!r}")
        known.add(node)
        where = f"node {node!r}"
        _require_attributes(where, data, NODE)
        _require_parts(where, data)
    used: set[tuple[str, str, int]] = set()
    for operand, result, key, data in edges:
        where = f"edge {operand!r} → {result!r}"
        for end in (operand, result):
            require(end in known, f"{where}: there is no node {end!r}")
        require(is_count(key), f"{where}: the operand index {key!r} is not an integer from 0")
        require((operand, result, key) not in used, f"{where}: operand {key} is there twice")
        used.add((operand, result, key))
        _require_attributes(where, data, EDGE)
        if data["local_derivative"] is not None:
            _require_derivative(where, data["local_derivative"])
    _require_acyclic(known, edges)


def _require_attributes(
    where: str, data: Mapping[str, Any], rules: dict[str, tuple[Callable[[object], bool], str]]
) -> None:
    for name, (fits, expected) in rules.items():
        if name not in data:
            raise MalformedError(f"{where} has no attribute {name!r}")
        if not fits(data[name]):  # to show each value that fits would take most of the time
            raise MalformedError(f"{where}: {name} is {data[name]!r:.80}, not {expected}")


def _require_parts(where: str, data: Mapping[str, Any]) -> None:
    """Raise unless value and upstream gradient have as many parts."""
    counts = [
        len(data[name]) if isinstance(data[name], tuple) else None
        for name in ("value", "upstream_gradient")
    ]
    require(counts[0] == counts[1], f"{where}: value and upstream_gradient differ in parts")


def _require_derivative(where: str, derivative: LocalDerivative) -> None:
    """Raise unless the array of a local derivative is that of its structure."""
    structure = derivative.structure
    require(structure in STRUCTURES, f"{where}: {structure!r:.80} is no structure of a derivative")
    result, operand = derivative.result_shape, derivative.operand_shape
    rows, columns = math.prod(result), math.prod(operand)
    if structure in ("identity", "scaled", "diagonal"):
        shapes = f"{where}: {structure} from {operand} to {result}, which differ in size"
        require(rows == columns, shapes)
    array = derivative.array
    fits = {
        "scaled": array is not None and array.size == 1,
        "diagonal": array is not None and array.size == columns,
        "dense": array is not None and array.shape == (*result, *operand),
    }.get(structure, array is None)
    shape = None if array is None else array.shape
    require(fits, f"{where}: a {structure} derivative {result} × {operand} with array {shape}")


def _require_acyclic(nodes: set[str], edges: list[EdgeRecord]) -> None:
    waiting = dict.fromkeys(nodes, 0)
    after: dict[str, list[str]] = {node: [] for node in nodes}
    for operand, result, _, _ in edges:
        waiting[result] += 1
        after[operand].append(result)
    ready = [node for node, count in waiting.items() if not count]
    done = 0
    while ready:
        done += 1
        for result in after[ready.pop()]:
            waiting[result] -= 1
            if not waiting[result]:
                ready.append(result)
    require(done == len(nodes), "its edges run in a cycle, but values flow one way only")
