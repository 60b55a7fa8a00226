"""From a tape to nodes and edges, with names that are readable, unique, and the same each time."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from gradtrace.derivative import LIMIT, LocalDerivative
from gradtrace.tape import Call, EdgeRecord, Leaf, NodeRecord, Replay, Tape, Value

__all__ = ["Built", "build"]


class Built(NamedTuple):
    """What is made of a tape."""

    nodes: list[NodeRecord]
    edges: list[EdgeRecord]
    replays: dict[str, Replay | str]
    """The functions of calls that were kept to be run again, by node."""


def build(tape: Tape) -> Built:
    """Return the named nodes and the edges of a finished tape, in its order."""
    builder = _Builder()
    builder.build(tape)
    return Built(builder.nodes, builder.edges, builder.replays)


class _Builder:
    """Makes named nodes and edges of the steps of a tape."""

    def __init__(self) -> None:
        self.ids: dict[int, str] = {}
        self.parts: dict[int, tuple[Call, int]] = {}
        self.calls: dict[int, str] = {}
        self.counts: dict[str, int] = {}
        self.derivatives: dict[tuple[int, str, str], LocalDerivative] = {}
        self.nodes: list[NodeRecord] = []
        self.edges: list[EdgeRecord] = []
        self.replays: dict[str, Replay | str] = {}

    def build(self, tape: Tape) -> None:
        for step in tape.relevant():
            if isinstance(step, Leaf):
                self.add_leaf(step)
            else:
                self.add_call(step)
        self.add_seeded_items()

    def add_leaf(self, leaf: Leaf) -> None:
        name = self.unique(leaf.names[0] if leaf.names else leaf.op or leaf.kind)
        self.ids[id(leaf.value)] = name
        attributes = {"scope": "", "invocations": (), "names": leaf.names}
        self.add_node(name, leaf.kind, leaf.op, leaf.source, attributes, [leaf.value])

    def add_call(self, call: Call) -> None:
        edges = [(self.node_of(use.value), use) for use in call.uses]
        name = self.unique(f"{call.scope}.{call.op}" if call.scope else call.op)
        self.calls[id(call)] = name
        if call.replay is not None:
            self.replays[name] = call.replay
        attributes = {"scope": call.scope, "invocations": call.invocations, "names": ()}
        self.add_node(name, "call", call.op, call.source, attributes, call.results)
        for index, (source, use) in enumerate(edges):
            data = {
                "operand": use.operand,
                "local_derivative": self.with_rule(use.derivative, call.op, use.operand),
                "downstream_gradient": use.downstream,
            }
            self.edges.append((source, name, index, data))
        if len(call.results) == 1:
            self.ids[id(call.results[0])] = name
        else:
            self.parts.update((id(value), (call, i)) for i, value in enumerate(call.results))

    def with_rule(
        self, derivative: LocalDerivative | None, op: str, operand: str
    ) -> LocalDerivative | None:
        """Return `derivative` with the place of its formula, unless the backend gave one."""
        if derivative is None or derivative.rule is not None:
            return derivative
        place = id(derivative), op, operand
        if place not in self.derivatives:  # one that several uses share stays one
            self.derivatives[place] = replace(derivative, rule=(op, operand))
        return self.derivatives[place]

    def node_of(self, value: Value) -> str:
        """Return the node that holds `value`, made now if it is a part not used before."""
        if id(value) not in self.ids:
            call, index = self.parts[id(value)]
            self.ids[id(value)] = self.add_item(call, index)
        return self.ids[id(value)]

    def add_item(self, call: Call, index: int) -> str:
        value, parent = call.results[index], self.calls[id(call)]
        name = self.unique(f"{parent}[{index}]")
        attributes = {"scope": call.scope, "invocations": call.invocations, "names": ()}
        self.add_node(name, "item", "item", call.source, attributes, [value])
        data = {
            "operand": str(index),
            "local_derivative": _selection(call, value) if value.differentiable else None,
            "downstream_gradient": value.upstream,
        }
        self.edges.append((parent, name, index, data))
        return name

    def add_seeded_items(self) -> None:
        """Make nodes of the parts that no call used but from which a backward pass began."""
        for call, index in list(self.parts.values()):
            if call.results[index].seed is not None:
                self.node_of(call.results[index])

    def add_node(
        self,
        name: str,
        kind: str,
        op: str | None,
        source: object,
        attributes: dict[str, Any],
        values: list[Value],
    ) -> None:
        several = len(values) != 1
        first = values[0] if values else Value()
        notes = [value.note for value in values if value.note]
        data = {
            "kind": kind,
            "op": op,
            "scope": attributes["scope"],
            "source": source,
            "order": len(self.nodes),
            "value": tuple(v.summary for v in values) if several else first.summary,
            "upstream_gradient": tuple(v.upstream for v in values) if several else first.upstream,
            "names": attributes["names"],
            "seed": None if several else first.seed,
            "differentiable": any(value.differentiable for value in values),
            "invocations": attributes["invocations"],
            "note": notes[0] if notes else None,
        }
        self.nodes.append((name, data))

    def unique(self, wanted: str) -> str:
        """Return `wanted`, with a number from the second on, and without `:`."""
        base = wanted.replace(":", "_")
        name = base
        while name in self.counts:
            self.counts[base] += 1
            name = f"{base}_{self.counts[base]}"
        self.counts[name] = 1
        return name


def _selection(call: Call, value: Value) -> LocalDerivative:
    """Return the local derivative of one part of what `call` made.

    The differentiable parts of a call count as one result: flat, and joined in order.
    """
    parts = [part for part in call.results if part.differentiable]
    shape = value.summary.shape if value.summary else ()
    gain = 1.0 if value.upstream is not None and value.upstream.norm else None
    if len(parts) == 1:
        return LocalDerivative(
            "identity", shape, shape, norm=math.sqrt(math.prod(shape)), gain=gain
        )
    sizes = [part.summary.size if part.summary else 0 for part in parts]
    position = next(i for i, part in enumerate(parts) if part is value)
    start, size, total = sum(sizes[:position]), sizes[position], sum(sizes)
    exact = any(use.derivative is not None and use.derivative.exact for use in call.uses)
    if not exact or size * total > LIMIT:
        return LocalDerivative("operator", shape, (total,), norm=math.sqrt(size), gain=gain)
    jacobian = np.eye(total)[start : start + size].reshape(*shape, total)
    return LocalDerivative("dense", shape, (total,), jacobian, norm=math.sqrt(size), gain=gain)
