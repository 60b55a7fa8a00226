"""The graph of one run: values on nodes, local derivatives on edges."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np

from gradtrace import files, render
from gradtrace.analysis.check import Check, check
from gradtrace.analysis.collapse import collapse
from gradtrace.derivative import LIMIT, LocalDerivative
from gradtrace.errors import GraphNotReadyError
from gradtrace.tape import Call, EdgeRecord, Leaf, NodeRecord, Tape, Value

__all__ = ["Graph", "load"]


class _Late:
    """One of networkx's dictionaries, made when it is first read."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, graph: Graph | None, owner: type) -> Any:
        if graph is None:
            return self
        state = graph.__dict__
        if "_source" in state:
            graph._settle()
        return state[self.name]

    def __set__(self, graph: Graph, value: Any) -> None:
        resets_views = vars(nx.DiGraph).get(self.name) or vars(nx.Graph)[self.name]
        resets_views.__set__(graph, value)


class Graph(nx.MultiDiGraph):
    """A `networkx.MultiDiGraph` of one run. Edges run operand → result, as values flow.

    Node attributes: `kind`, `op`, `scope`, `source`, `order`, `value`, `upstream_gradient`, and
    `names`, `seed`, `differentiable`, `invocations`, `note`. For a call with several results
    `value` and `upstream_gradient` are tuples, and each part that is used is an `item` node.

    Edge attributes, with the operand's index as key: `operand`, `local_derivative`,
    `downstream_gradient`.
    """

    _adj = _Late()
    _pred = _Late()
    _succ = _Late()
    _node = _Late()

    @classmethod
    def pending(cls) -> Graph:
        """Return a graph that is filled later, and that says so to those who read it earlier."""
        graph = cls()
        graph.__dict__["_source"] = None
        return graph

    @classmethod
    def from_tape(cls, tape: Tape) -> Graph:
        """Return the graph of a finished tape."""
        graph = cls.pending()
        graph.fill_from(tape)
        return graph

    def fill_from(self, tape: Tape, *, fold: bool = False) -> None:
        """Let a pending graph be that of `tape`, with each module folded if told.

        It is made when it is first read: a step that nobody looks at costs less.
        """
        self.graph.update(backend=tape.backend, gradients=tape.gradients)
        self.__dict__["_source"] = partial(_records_of, tape, fold)

    def _settle(self) -> None:
        """Make the nodes and edges that were put off."""
        source = self.__dict__["_source"]
        if source is None:
            raise GraphNotReadyError(
                "the graph is complete when its trace block ends; "
                "read it after the `with gradtrace.trace(...)` block"
            )
        del self.__dict__["_source"]
        nodes, edges = source()
        self.add_nodes_from(nodes)
        self.add_edges_from(edges)
        nx.freeze(self)

    @classmethod
    def from_records(
        cls,
        attributes: Mapping[str, Any],
        nodes: list[NodeRecord],
        edges: list[EdgeRecord],
    ) -> Graph:
        """Return the graph with these graph attributes, nodes and edges."""
        graph = cls()
        graph.graph.update(attributes)
        graph.add_nodes_from(nodes)
        graph.add_edges_from(edges)
        return nx.freeze(graph)  # type: ignore[no-any-return]

    def check(self) -> Check:
        """Check the chain rule at every node: pass, fail, or unverifiable with the reason."""
        return check(self)

    def collapse(self, depth: int | None = None) -> Graph:
        """Fold every scope at `depth` (1 is the outermost; None each innermost) into one node."""
        return self.from_records(*collapse(self, depth=depth))

    def render(
        self,
        path: str | PathLike[str] | None = None,
        *,
        format: str | None = None,
        **options: Any,
    ) -> Path | str | bytes:
        """Draw the graph into the file `path`, or return the drawing where there is no path.

        `format` is taken from the file's ending unless told. The options are those of
        `gradtrace.render.figure`, among them `depth`, at which scopes are folded.
        """
        return render.draw(self, path, format=format, **options)

    def save(self, path: str | PathLike[str]) -> Path:
        """Save the graph as one file, from which `gradtrace.load` makes it again."""
        return files.save(self, path)

    def __str__(self) -> str:
        return render.text(self)

    def __repr__(self) -> str:
        if self.__dict__.get("_source", "") is None:
            return "<gradtrace.Graph, complete when its trace block ends>"
        return f"<gradtrace.Graph of {len(self)} nodes and {self.number_of_edges()} edges>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        if self.__dict__.get("_source", "") is None:
            return {"text/plain": repr(self)}
        return render.mimebundle(self)


def load(path: str | PathLike[str]) -> Graph:
    """Return the graph saved in the file `path`.

    Raises `FileError` for a file that is not a whole graph of a known version.
    """
    return Graph.from_records(*files.load(path))


def _records_of(tape: Tape, fold: bool) -> tuple[list[NodeRecord], list[EdgeRecord]]:
    nodes, edges = _Builder().build(tape)
    if not fold:
        return nodes, edges
    return collapse(Graph.from_records({}, nodes, edges), depth=None)[1:]


class _Builder:
    """Makes named nodes and edges of the steps of a tape."""

    def __init__(self) -> None:
        self.ids: dict[int, str] = {}
        self.parts: dict[int, tuple[Call, int]] = {}
        self.calls: dict[int, str] = {}
        self.counts: dict[str, int] = {}
        self.nodes: list[NodeRecord] = []
        self.edges: list[EdgeRecord] = []

    def build(self, tape: Tape) -> tuple[list[NodeRecord], list[EdgeRecord]]:
        for step in tape.relevant():
            if isinstance(step, Leaf):
                self.add_leaf(step)
            else:
                self.add_call(step)
        self.add_seeded_items()
        return self.nodes, self.edges

    def add_leaf(self, leaf: Leaf) -> None:
        name = self.unique(leaf.names[0] if leaf.names else leaf.op or leaf.kind)
        self.ids[id(leaf.value)] = name
        attributes = {"scope": "", "invocations": (), "names": leaf.names}
        self.add_node(name, leaf.kind, leaf.op, leaf.source, attributes, [leaf.value])

    def add_call(self, call: Call) -> None:
        edges = [(self.node_of(use.value), use) for use in call.uses]
        name = self.unique(f"{call.scope}.{call.op}" if call.scope else call.op)
        self.calls[id(call)] = name
        attributes = {"scope": call.scope, "invocations": call.invocations, "names": ()}
        self.add_node(name, "call", call.op, call.source, attributes, call.results)
        for index, (source, use) in enumerate(edges):
            data = {
                "operand": use.operand,
                "local_derivative": use.derivative,
                "downstream_gradient": use.downstream,
            }
            self.edges.append((source, name, index, data))
        if len(call.results) == 1:
            self.ids[id(call.results[0])] = name
        else:
            self.parts.update((id(value), (call, i)) for i, value in enumerate(call.results))

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
