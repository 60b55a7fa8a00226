"""The factors of a path, as a board has them: steps that change nothing join their neighbours."""

from __future__ import annotations

import math
from dataclasses import dataclass

import networkx as nx

from gradtrace.analysis.explain.ways import Step
from gradtrace.derivative import LocalDerivative
from gradtrace.formulas import find

__all__ = ["Link", "links"]


@dataclass(frozen=True)
class Link:
    """A factor of a path: one step, with those next to it that pass a gradient on unchanged."""

    step: Step
    result: str
    operand: str
    hidden: tuple[str, ...]
    """Nodes near it without a symbol of their own."""
    steps: tuple[Step, ...]
    """All steps that it covers."""


def links(graph: nx.MultiDiGraph[str], path: tuple[Step, ...]) -> tuple[Link, ...]:
    """Return the factors of a path, a sum or difference drawn into its neighbour.

    Of the nodes along which a gradient stays the same, one is kept: a sum rather than a term of
    it, a term rather than a difference.
    """
    found: list[tuple[Step, str, str, list[str]]] = []
    begin, last = path[0].result, path[-1].operand
    above: list[str] = []
    run = [begin]
    pending: Step | None = None
    for step in path:
        if _passes(graph, step):
            run.append(step.operand)
            continue
        kept = begin if pending is None else max(run, key=lambda node: _worth(graph, node))
        unnamed = [node for node in run if node != kept]
        if pending is not None:
            found.append((pending, begin, kept, [*above, *unnamed]))
        begin, above = kept, unnamed
        pending, run = step, [step.operand]
    unnamed = [node for node in run if node != last]
    if pending is None:
        pending, unnamed = path[-1], unnamed[1:]
    found.append((pending, begin, last, [*above, *unnamed]))
    places = {step.operand: index + 1 for index, step in enumerate(path)}
    return tuple(
        Link(step, result, operand, tuple(hidden), path[places.get(result, 0) : places[operand]])
        for step, result, operand, hidden in found
    )


def _passes(graph: nx.MultiDiGraph[str], step: Step) -> bool:
    """Tell whether a step is the identity, from a term to a sum of the same shape."""
    local: LocalDerivative = step.data["local_derivative"]
    row = find(graph.nodes[step.result]["op"])
    if row is None or row.ops[0] not in ("add", "sub") or local.result_shape != local.operand_shape:
        return False
    if local.exact:
        return local.structure == "identity"
    symbol = row.symbol(step.data["operand"])
    unchanged = local.gain is None or math.isclose(local.gain, 1.0, rel_tol=1e-5)
    return unchanged and (row.ops[0], symbol) != ("sub", "y")


def _worth(graph: nx.MultiDiGraph[str], node: str) -> int:
    op = graph.nodes[node]["op"]
    row = find(op)
    return {"add": 2, "sub": 0}.get(row.ops[0] if row else "", 1)
