"""The factors of a path in symbols: what each makes of the gradient that comes to it."""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping
from typing import Any

import networkx as nx

from gradtrace.analysis.explain.constants import constant
from gradtrace.analysis.explain.links import Link
from gradtrace.analysis.explain.simplify import of_numbers, simplified, times
from gradtrace.analysis.explain.verify import agrees
from gradtrace.analysis.explain.ways import Step
from gradtrace.derivative import LocalDerivative
from gradtrace.formulas import Row, derivative, find
from gradtrace.formulas.notation import names_in, parse, put
from gradtrace.summary import Summary

__all__ = ["Reader", "placeholder"]

INLINE = frozenset("add sub mul div neg rsub".split())
"""Operations whose result may stand as an expression, where its node has no symbol."""

DEEPEST = 3
"""How many expressions may stand in each other."""

PART = parse("put_back(delta)")
"""What becomes of the gradient of one part of several results."""


def placeholder(number: int) -> str:
    """Return the name that stands for node `number` inside expressions."""
    return f"node_{number}"


class Reader:
    """Reads the formulas of factors, with the nodes of the graph in place of operands."""

    def __init__(self, graph: nx.MultiDiGraph[str]) -> None:
        self._graph = graph
        self.functions: dict[str, tuple[str, str]] = {}
        """Derivatives that are written by the letter of their function: σ'."""
        self.places: dict[str, str] = {}
        """Nodes by the name that stands for them."""
        self._rows: dict[int, tuple[Row, str] | tuple[None, None]] = {}

    def number(self, link: Link) -> ast.expr | None:
        """Return the derivative of a number by a number."""
        row, symbol = self._row(link.step)
        if row is None or symbol is None:
            return None
        if row.pullbacks is None:
            return self._elementwise(row, symbol, link)
        text = row.pullbacks.get(symbol)
        if text is None:
            return None
        alone = put(parse(text), {"delta": ast.Constant(1), "n": ast.Constant(1)})
        return self._filled(row, of_numbers(alone), link)

    def pullback(self, link: Link) -> ast.expr | None:
        """Return what the factor makes of `delta`, None where there is no formula."""
        if self._graph.nodes[link.step.result]["kind"] == "item":
            return PART
        row, symbol = self._row(link.step)
        if row is None or symbol is None:
            return None
        if row.pullbacks is not None:
            text = row.pullbacks.get(symbol)
            return None if text is None else self._filled(row, parse(text), link)
        slope = self._elementwise(row, symbol, link)
        local: LocalDerivative = link.step.data["local_derivative"]
        delta: ast.expr = ast.Name("delta")
        whole = times(delta, slope)
        if math.prod(local.result_shape) != math.prod(local.operand_shape):
            return ast.Call(ast.Name("sum"), [whole], [])
        return whole

    def where(self, link: Link) -> list[str]:
        """Return what is to be known to read the formula of a factor."""
        row, _ = self._row(link.step)
        return [row.where] if row is not None and row.where else []

    def full(self, link: Link) -> tuple[str, ast.expr] | None:
        """Return a derivative that is written by its letter, with what it is."""
        row, symbol = self._row(link.step)
        if row is None or symbol is None or row.sign is None:
            return None
        return row.sign, self._filled(row, _expression(row, symbol), link)

    def _row(self, step: Step) -> tuple[Row, str] | tuple[None, None]:
        """Return the row of a step with the operand's symbol, if it gives what was recorded."""
        if id(step.data) not in self._rows:
            self._rows[id(step.data)] = self._found(step)
        return self._rows[id(step.data)]

    def _found(self, step: Step) -> tuple[Row, str] | tuple[None, None]:
        local: LocalDerivative = step.data["local_derivative"]
        is_call = self._graph.nodes[step.result]["kind"] == "call"
        if not is_call or not isinstance(local.rule, tuple) or self._complex(step):
            return None, None
        row = find(local.rule[0])
        symbol = row.symbol(local.rule[1]) if row else None
        if row is None or symbol is None:
            return None, None
        operands = self._operands(row, step.result)
        values = {name: self._graph.nodes[node]["value"] for name, node in operands.items()}
        return (row, symbol) if agrees(row, symbol, values, local) else (None, None)

    def _complex(self, step: Step) -> bool:
        """Tell whether a step is one of complex numbers, of which no row speaks."""
        values = [self._graph.nodes[node]["value"] for node in (step.result, step.operand)]
        return any(isinstance(v, Summary) and v.dtype.startswith("complex") for v in values)

    def _elementwise(self, row: Row, symbol: str, link: Link) -> ast.expr:
        if row.sign is not None:
            name = f"slope_of_{row.ops[0]}"
            self.functions[name] = f"{row.sign}'", _primed(row.sign)
            operand = self._filled(row, ast.Name(symbol), link)
            return ast.Call(ast.Name(name), [operand], [])
        return self._filled(row, _expression(row, symbol), link)

    def _filled(self, row: Row, expression: ast.expr, link: Link) -> ast.expr:
        """Return `expression` with nodes, or numbers that were found, in place of names."""
        return self._at(row, expression, link.step.result, set(link.hidden), 0)

    def _at(
        self, row: Row, expression: ast.expr, call: str, hidden: set[str], depth: int
    ) -> ast.expr:
        parts: dict[str, ast.expr] = {}
        operands = self._operands(row, call)
        for name in names_in(expression) - {"delta", "pi"}:
            if name in operands:
                parts[name] = self._node(operands[name], hidden, depth)
            elif name == "y" and row.pullbacks is not None:
                parts[name] = self._node(call, set(), depth)
            else:
                found = constant(row.ops[0], name, *self._summaries(operands, call))
                parts.update({name: ast.Constant(found)} if found is not None else {})
        return simplified(put(expression, parts))

    def _node(self, node: str, hidden: set[str], depth: int) -> ast.expr:
        """Return the name of a node, or the expression that a hidden one is."""
        row = find(self._graph.nodes[node]["op"])
        if node in hidden and row is not None and row.ops[0] in INLINE and depth < DEEPEST:
            return self._at(row, parse(row.value), node, hidden, depth + 1)
        name = placeholder(self._graph.nodes[node]["order"])
        self.places[name] = node
        return ast.Name(name)

    def _operands(self, row: Row, call: str) -> dict[str, str]:
        """Return the operands that are nodes by their symbols, in the order of the row."""
        found: dict[str, str] = {}
        for operand, _, data in self._graph.in_edges(call, data=True):
            symbol = row.symbol(data["operand"])
            if symbol is not None:
                found.setdefault(symbol, operand)
        return {symbol: found[symbol] for symbol in row.operands if symbol in found}

    def _summaries(
        self, operands: Mapping[str, str], call: str
    ) -> tuple[Summary | None, Summary | None]:
        """Return the first operand that is a node, and the result, where each is one tensor."""
        first: Any = self._graph.nodes[next(iter(operands.values()))]["value"] if operands else None
        value: Any = self._graph.nodes[call]["value"]
        known = [each if isinstance(each, Summary) else None for each in (first, value)]
        return known[0], known[1]


def _expression(row: Row, symbol: str) -> ast.expr:
    return parse(str(derivative(row, symbol)))


def _primed(sign: str) -> str:
    letter = {"σ": r"\sigma"}.get(sign, rf"\operatorname{{{sign}}}")
    return f"{letter}'"
