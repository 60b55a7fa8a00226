"""The formulas of a figure: what each call computes, and the local derivative on each edge."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

import networkx as nx

from gradtrace.formulas import Row, derivative, find
from gradtrace.formulas.notation import names_in, parse
from gradtrace.formulas.writing import write
from gradtrace.render.pieces import LEAVES
from gradtrace.render.symbols import Symbols
from gradtrace.summary import Summary

__all__ = ["Formulas"]

LONGEST = 60
"""Characters of a formula that still finds room in a figure."""

Formula = tuple[str, str]
"""As text, and in LaTeX."""


class Formulas:
    """Writes the formulas of a graph that is drawn, in symbols that stand for its nodes.

    `whole` is the graph that it is a part of: formulas name its leaves, drawn or not.
    """

    def __init__(self, graph: nx.MultiDiGraph[str], whole: nx.MultiDiGraph[str]) -> None:
        self._graph = graph = _with_leaves(graph, whole)
        seeded = [node for node, seed in graph.nodes(data="seed") if seed is not None]
        output = seeded[0] if len(seeded) == 1 else None
        self._symbols = Symbols(graph, list(graph), output=output, prediction=None)

    def node(self, node: str) -> Formula:
        """Return the symbol of `node`, and what it is computed as where a row says so."""
        data = self._graph.nodes[node]
        text, latex = self._symbols[node]
        row = find(data["op"])
        if data["kind"] != "call" or data.get("folded", 0) > 1 or row is None:
            return text, latex
        names = self._names(row, node)
        value = parse(row.value)
        if not self._is_complete(row, value, names):
            return text, latex
        plain, typeset = self._written(value, names, node)
        if len(plain) > LONGEST:
            return text, latex
        return f"{text} = {plain}", f"{latex} = {typeset}"

    def edge(self, operand: str, result: str, data: Mapping[str, Any]) -> Formula:
        """Return the local derivative as a formula.

        It says what the factor is by which gradients are multiplied, or, of an operation on whole
        tensors, what becomes of an upstream gradient δ.
        """
        (above, over), (below, under) = self._symbols[result], self._symbols[operand]
        name = f"∂{above}/∂{below}", rf"\frac{{\partial {over}}}{{\partial {under}}}"
        node = self._graph.nodes[result]
        row = find(node["op"]) if node["kind"] == "call" and not _is_fold(node) else None
        symbol = row.symbol(data["operand"]) if row else None
        if row is None or symbol is None:
            return name
        names = self._names(row, result)
        sides = self._slope(row, symbol, names, result) if row.pullbacks is None else None
        relation, arrow = "=", "="
        if row.pullbacks is not None and symbol in row.pullbacks:
            pullback = parse(row.pullbacks[symbol])
            if self._is_complete(row, pullback, names):
                sides = self._written(pullback, names, result)
                relation, arrow = ": δ ↦", r":\; \delta \mapsto"
        if sides is None or len(sides[0]) > LONGEST:
            return name
        return f"{name[0]} {relation} {sides[0]}", f"{name[1]} {arrow} {sides[1]}"

    def _slope(
        self, row: Row, symbol: str, names: Mapping[str, Formula], call: str
    ) -> Formula | None:
        """Return the derivative of an elementwise operation; one with a letter by that: σ'(z)."""
        if row.sign is not None and symbol in names:
            text, latex = names[symbol]
            letter = LETTERS.get(row.sign, rf"\mathrm{{{row.sign}}}")
            return f"{row.sign}'({text})", rf"{letter}'({latex})"
        slope = parse(str(derivative(row, symbol)))
        if not self._is_complete(row, slope, names):
            return None
        return self._written(slope, names, call)

    def _written(self, value: ast.expr, names: Mapping[str, Formula], call: str) -> Formula:
        """Write a formula of a call; numbers are multiplied without the sign for each element."""
        plain, typeset = write(value, names), write(value, names, latex=True)
        if all(map(self._is_number, (call, *self._graph.predecessors(call)))):
            return plain.replace(" ⊙ ", " · "), typeset.replace(r"\odot", r"\,")
        return plain, typeset

    def _is_number(self, node: str) -> bool:
        value = self._graph.nodes[node]["value"]
        return isinstance(value, Summary) and value.size == 1

    def _names(self, row: Row, call: str) -> dict[str, Formula]:
        """Return how the names in the formulas of a call are written."""
        names: dict[str, Formula] = {}
        for operand, _, data in self._graph.in_edges(call, data=True):
            symbol = row.symbol(data["operand"])
            if symbol is not None and operand in self._symbols:
                names.setdefault(symbol, self._symbols[operand])
        if row.pullbacks is not None:
            names["y"] = names.get("y") or self._symbols[call]
        return names

    @staticmethod
    def _is_complete(row: Row, expression: ast.expr, names: Mapping[str, Formula]) -> bool:
        """Tell whether each operand in `expression` has a symbol."""
        return not (names_in(expression) & set(row.operands)) - set(names)


LETTERS = {"σ": r"\sigma", "ρ": r"\rho", "τ": r"\tau", "φ": r"\varphi", "Φ": r"\Phi"}
"""Letters of functions in LaTeX."""


def _with_leaves(graph: nx.MultiDiGraph[str], whole: nx.MultiDiGraph[str]) -> nx.MultiDiGraph[str]:
    """Return `graph` with the leaves of `whole` that its calls use."""
    complete: nx.MultiDiGraph[str] = nx.MultiDiGraph()
    complete.add_nodes_from(graph.nodes(data=True))
    complete.add_edges_from(graph.edges(keys=True, data=True))
    for call, data in graph.nodes(data=True):
        if call not in whole or _is_fold(data):
            continue
        for leaf, _, key, edge in whole.in_edges(call, keys=True, data=True):
            if leaf not in graph and whole.nodes[leaf]["kind"] in LEAVES:
                complete.add_node(leaf, **whole.nodes[leaf])
                complete.add_edge(leaf, call, key, **edge)
    return complete


def _is_fold(data: Mapping[str, Any]) -> bool:
    return int(data.get("folded") or 0) > 1
