"""Compose what an explanation says of its paths: names, formulas, sizes, and a legend."""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping, Sequence

import networkx as nx

from gradtrace.analysis.explain.amounts import number_of, seed_at, slope
from gradtrace.analysis.explain.links import Link, links
from gradtrace.analysis.explain.results import Factor, Meaning, Note, Path, Written
from gradtrace.analysis.explain.simplify import simplified
from gradtrace.analysis.explain.terms import Reader, placeholder
from gradtrace.analysis.explain.tex import words
from gradtrace.analysis.explain.ways import Step, Ways
from gradtrace.derivative import LocalDerivative
from gradtrace.formulas import find, losses
from gradtrace.formulas.glossary import GLOSSARY
from gradtrace.formulas.names import written_name
from gradtrace.formulas.notation import put
from gradtrace.formulas.writing import write
from gradtrace.render.symbols import Symbols
from gradtrace.summary import Summary

__all__ = ["Composer", "Path"]

LONGEST = 110
"""Characters of a formula that is still read as one."""

MEASURES = frozenset(
    "mean sum pow square abs neg sub sqrt log view reshape flatten squeeze transpose permute"
    " getitem contiguous float to".split()
)
"""Operations that may stand between a prediction and a loss."""

PLAIN = frozenset("Abs exp log sum softmax sigma sign max min norm sqrt outer".split())
"""Functions that need no explanation."""


class Composer:
    """Names the nodes on some paths, then writes the factors of each."""

    def __init__(
        self,
        graph: nx.MultiDiGraph[str],
        ways: Ways,
        paths: Sequence[tuple[Step, ...]],
        ends: Sequence[str],
    ) -> None:
        self._graph = graph
        self._ways = ways
        self._reader = Reader(graph)
        self._links = {id(path): links(graph, path) for path in paths}
        self._terms = {id(link): self._term(link) for each in self._links.values() for link in each}
        nodes = {*ends, *self._reader.places.values()}
        for each in self._links.values():
            nodes.update(node for link in each for node in (link.result, link.operand))
        output = next((end for end in ends[1:] if len(ends) == 2 and self._is_loss(end)), None)
        first = next(iter(self._links.values()), ())
        prediction = next((link.operand for link in first[:-1] if not self._is_measure(link)), None)
        self.symbols = Symbols(graph, nodes, output=output, prediction=prediction)
        places = {placeholder(graph.nodes[node]["order"]): self.symbols[node] for node in nodes}
        self._names = places | self._reader.functions

    def derivative(self, output: str | None, target: str) -> Written:
        """Return the name of the derivative of `output` by `target`."""
        above = ("outputs", r"\text{outputs}") if output is None else self.symbols[output]
        below = self.symbols[target]
        return Written(
            f"∂{above[0]}/∂{below[0]}",
            rf"\frac{{\partial {above[1]}}}{{\partial {below[1]}}}",
        )

    def factors(self, path: Sequence[Step]) -> tuple[Factor, ...]:
        """Return the factors of a path, the one at the output first."""
        return tuple(self._factor(link) for link in self._links[id(path)])

    def equation(self, path: Sequence[Step]) -> Written | None:
        """Return all factors of tensors as one formula, None where it is too long to be read."""
        chain = self._links[id(path)]
        if all(slope(link.step) is not None for link in chain):
            return None
        whole = self._seed(path[0].result)
        for link in chain:
            term = self._terms[id(link)]
            if term is None:
                return None
            whole = simplified(put(term, {"delta": whole}))
            if len(ast.unparse(whole)) > 4 * LONGEST:
                return None
        written = self._write(whole)
        return written if len(written.text) <= LONGEST else None

    def legend(self) -> tuple[Meaning, ...]:
        """Return what each symbol stands for, in the order of the graph."""
        found = []
        for node in self.symbols.nodes():
            data = self._graph.nodes[node]
            value = data["value"] if isinstance(data["value"], Summary) else None
            symbol = Written(*self.symbols[node])
            about = data["kind"], data["op"], data["scope"], data["source"], value
            found.append(Meaning(symbol, node, *about))
        return tuple(found)

    def notes(self) -> tuple[Note, ...]:
        """Return what is to be known to read the formulas."""
        found: dict[str, Note] = {}
        for each in self._links.values():
            for link in each:
                if self._terms[id(link)] is None:
                    continue
                for note in self._notes_of(link):
                    found.setdefault(note.formula.text, note)
        return tuple(found.values())

    def _notes_of(self, link: Link) -> list[Note]:
        notes = []
        full = self._reader.full(link)
        if full is not None:
            slope = self._write(self._terms[id(link)], of_slope=True)
            notes.append(Note(slope, self._write(full[1], scalar=True)))
        for text in self._reader.where(link):
            for part in text.split("; "):
                name, sign, meaning = part.partition(": ")
                if sign:
                    notes.append(Note(Written(*written_name(name)), _words(meaning)))
                else:
                    op = self._graph.nodes[link.step.result]["op"]
                    notes.append(Note(_words(op), _words(part)))
        term = self._terms[id(link)]
        assert term is not None
        for node in ast.walk(term):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                name = node.func.id
                if name in GLOSSARY and name not in PLAIN:
                    shown = Written(f"{name}(·)", rf"\operatorname{{{name}}}".replace("_", r"\_"))
                    notes.append(Note(shown, _words(GLOSSARY[name])))
        return notes

    def _term(self, link: Link) -> ast.expr | None:
        number = slope(link.step) is not None
        return self._reader.number(link) if number else self._reader.pullback(link)

    def _factor(self, link: Link) -> Factor:
        local: LocalDerivative = link.step.data["local_derivative"]
        term = self._terms[id(link)]
        shares = [self._ways.share(step) for step in link.steps if self._forks(step)]
        known = [share for share in shares if share is not None]
        return Factor(
            result=link.result,
            operand=link.operand,
            name=self.derivative(link.result, link.operand),
            formula=None if term is None else self._write(self._begun(link, term)),
            sizes=self._sizes(term, local),
            value=slope(link.step),
            structure=local.structure,
            norm=local.norm,
            estimated=local.estimated,
            gain=local.gain,
            share=math.prod(known, start=1.0) if len(known) == len(shares) else None,
            passes=tuple(step.operand for step in link.steps[:-1]),
        )

    def _forks(self, step: Step) -> bool:
        return len(self._ways.steps[step.operand]) > 1

    def _begun(self, link: Link, term: ast.expr) -> ast.expr:
        """Return the factor at the output with the seed in it."""
        if link.result not in self._ways.outputs or slope(link.step) is not None:
            return term
        return simplified(put(term, {"delta": self._seed(link.result)}))

    def _seed(self, output: str) -> ast.expr:
        seed = seed_at(self._graph, output)
        return ast.Constant(1) if number_of(seed) == 1 else ast.Name("delta")

    def _write(
        self, term: ast.expr | None, *, of_slope: bool = False, scalar: bool = False
    ) -> Written:
        assert term is not None
        if of_slope:  # only σ'(z), without the gradient it multiplies
            term = next(node for node in ast.walk(term) if isinstance(node, ast.Call))
        options = {"scalar": scalar or self._is_of_numbers(term)}
        text = write(term, self._names, **options)
        return Written(text, write(term, self._names, latex=True, **options))

    def _is_of_numbers(self, term: ast.expr) -> bool:
        """Tell whether every node in `term` is one number."""
        names = [node.id for node in ast.walk(term) if isinstance(node, ast.Name)]
        places = [self._reader.places[name] for name in names if name in self._reader.places]
        values = [self._graph.nodes[node]["value"] for node in places]
        return "delta" not in names and all(
            isinstance(value, Summary) and value.size == 1 for value in values
        )

    def _is_measure(self, link: Link) -> bool:
        """Tell whether the operand is still part of measuring the loss, such as a square."""
        return self._graph.nodes[link.operand]["op"] in MEASURES

    def _sizes(self, term: ast.expr | None, local: LocalDerivative) -> str:
        """Write the shapes of a product of matrices, else that of what is passed back."""
        shape = _cross(local.operand_shape)
        if not isinstance(term, ast.BinOp) or not isinstance(term.op, ast.MatMult):
            return shape
        sides = [self._shape(side, local) for side in (term.left, term.right)]
        if any(side is None for side in sides):
            return shape
        left, right = (side for side in sides if side is not None)
        if left[-1] != right[0]:
            return shape
        return f"{_cross(left)} · {_cross(right)}"

    def _shape(self, node: ast.expr, local: LocalDerivative) -> tuple[int, ...] | None:
        """Return rows and columns of a matrix in a product; a batch counts as rows."""
        turned = isinstance(node, ast.Attribute) and node.attr == "T"
        name = node.value if isinstance(node, ast.Attribute) else node
        if not isinstance(name, ast.Name):
            return None
        shape = local.result_shape if name.id == "delta" else self._shape_of(name.id)
        if shape is None or len(shape) < 2:
            return None
        flat = math.prod(shape[:-1]), shape[-1]
        return flat[::-1] if turned else flat

    def _shape_of(self, name: str) -> tuple[int, ...] | None:
        node = self._reader.places.get(name)
        value = self._graph.nodes[node]["value"] if node else None
        return value.shape if isinstance(value, Summary) else None

    def _is_loss(self, output: str) -> bool:
        """Tell whether the output is a number that stands for a loss."""
        data: Mapping[str, object] = self._graph.nodes[output]
        value = data["value"]
        one = isinstance(value, Summary) and value.size == 1
        row = find(str(data["op"]))
        return one and (data["seed"] is not None or row in losses.ROWS)


def _words(text: str) -> Written:
    return Written(text, words(text))


def _cross(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape)) or "1"
