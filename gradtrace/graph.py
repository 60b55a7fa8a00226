"""The graph of one run: values on nodes, local derivatives on edges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import networkx as nx

from gradtrace import files, render
from gradtrace.analysis.check import Check, check
from gradtrace.analysis.collapse import collapse
from gradtrace.analysis.diagnose import Diagnosis, Rule, Thresholds, diagnose
from gradtrace.analysis.diff import Difference, diff
from gradtrace.analysis.explain import Explanation, explain
from gradtrace.analysis.paths import Paths, paths
from gradtrace.building import build
from gradtrace.errors import GraphNotReadyError
from gradtrace.tape import EdgeRecord, NodeRecord, Tape

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
        if tape.parameters:
            self.graph["parameters"] = tape.parameters
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

    def diagnose(
        self,
        *,
        thresholds: Thresholds | None = None,
        rules: Sequence[str | Rule] | None = None,
    ) -> Diagnosis:
        """Say where gradients vanish, explode, die, turn NaN or get lost, and what does it."""
        return diagnose(self, thresholds=thresholds, rules=rules)

    def paths(self, source: str, target: str | None = None, *, top: int = 10) -> Paths:
        """Say what each path from `target`, the output unless told, back to `source` contributes.

        Every fan-out between is split by the uses that the gradient came back along.
        """
        return paths(self, source, target, top=top)

    def diff(self, other: Graph, *, tolerance: float | None = None) -> Difference:
        """Say where this run and another part: the first value, the first gradient, the rest."""
        return diff(self, other, tolerance=tolerance)

    def explain(
        self, target: str, output: str | None = None, *, form: str = "text", top: int = 3
    ) -> Explanation:
        """Explain the gradient at `target` as the chain rule from `output`, factor by factor.

        `form` is how it writes itself: `"text"`, `"markdown"` or `"latex"`. At most `top` paths
        are shown one by one. See `gradtrace.explain`.
        """
        return explain(self, target, output, form=form, top=top)

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
    nodes, edges = build(tape)
    if not fold:
        return nodes, edges
    return collapse(Graph.from_records({}, nodes, edges), depth=None)[1:]
