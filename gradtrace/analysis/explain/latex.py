r"""Write an explanation in LaTeX: equations and arrays, for documents with amsmath."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gradtrace.analysis.explain.fold import Fold, folded
from gradtrace.analysis.explain.results import Factor, Path
from gradtrace.analysis.explain.tex import mathematics, words
from gradtrace.analysis.explain.text import (
    amount,
    bracketed,
    columns,
    count,
    factor_number,
    gains,
    meaning_cells,
    percent,
    shown_legend,
    shown_notes,
)

if TYPE_CHECKING:
    from gradtrace.analysis.explain.explanation import Explanation

__all__ = ["array", "equations", "latex"]

IN_LINE = 5
"""Factors of a product in one line."""


def latex(explanation: Explanation) -> str:
    """Return `explanation` as displayed mathematics."""
    blocks = [f"\\begin{{align*}}\n{equations(explanation)}\n\\end{{align*}}"]
    for index, path in enumerate(explanation.paths):
        rows = factor_rows(explanation, path)
        if rows:
            title = [] if explanation.count == 1 else [[f"g_{{{index + 1}}}"]]
            blocks.append(array([*title, *rows]))
    legend = [
        [meaning.symbol.latex, *(words(cell) if cell else "" for cell in cells[1:])]
        for meaning in shown_legend(explanation)
        for cells in [meaning_cells(meaning)]
    ]
    blocks.append(array(legend))
    notes = shown_notes(explanation)
    if notes:
        blocks.append(array([[note.formula.latex, "=", note.meaning.latex] for note in notes]))
    if explanation.reason:
        blocks.append(f"\\[\n{words(explanation.reason)}\n\\]")
    return "\n".join(blocks)


def equations(explanation: Explanation) -> str:
    """Return the lines that an environment such as align* takes."""
    name = explanation.name.latex
    if not explanation.paths:
        return f"{name} &= {mathematics(amount(explanation.value))}"
    if explanation.count == 1:
        return _lines(name, _sides(explanation, explanation.paths[0]))
    terms = [f"g_{{{index + 1}}}" for index in range(len(explanation.paths))]
    if explanation.rest:
        terms.append(r"g_{\text{rest}}")
    whole = [[" + ".join(terms)]]
    if explanation.value is not None:
        whole.append([mathematics(amount(explanation.value))])
    lines = [_lines(name, whole)]
    for term, path in zip(terms, explanation.paths, strict=False):
        sides = _sides(explanation, path)
        sides[-1][-1] += rf" && {words(percent(path.share))}"
        lines.append(_lines(term, sides))
    if explanation.rest:
        rest = explanation.rest
        total = rest.contribution
        side = words("all others") if total is None else mathematics(amount(total))
        side += rf" && {words(f'{count(rest.count)} more, {percent(rest.share)}')}"
        lines.append(_lines(terms[-1], [[side]]))
    return " \\\\\n".join(lines)


def factor_rows(explanation: Explanation, path: Path) -> list[list[str]]:
    """Return the table of the factors of a path; a product of numbers needs none."""
    if all(factor.value is not None for factor in path.factors):
        return []
    parts = folded(path.factors, explanation.legend)
    table = columns(parts)
    rows = [[words(cell) for cell in table[0]]]
    for part, cells in zip(parts, table[1:], strict=True):
        formula = words(cells[1])
        if isinstance(part, Factor) and part.formula is not None:
            formula = part.formula.latex
        tail = [mathematics(cell) if cell[:1].isdigit() else words(cell) for cell in cells[2:]]
        rows.append([part.name.latex, formula, *("" if c == words("") else c for c in tail)])
    return rows


def array(rows: Sequence[Sequence[str]]) -> str:
    """Write a table that is displayed mathematics."""
    widest = max(map(len, rows))
    lines = " \\\\[2pt]\n".join(" & ".join(row) for row in rows)
    return f"\\[\n\\begin{{array}}{{{'l' * widest}}}\n{lines}\n\\end{{array}}\n\\]"


def _sides(explanation: Explanation, path: Path) -> list[list[str]]:
    """Return what the contribution of a path equals: products, each as its factors."""
    parts = folded(path.factors, explanation.legend)
    sides = [[part.name.latex for part in parts]]
    if sides[0] == [explanation.name.latex] and explanation.count == 1:
        sides = []
    if path.equation is not None:
        sides.append([path.equation.latex])
    if all(factor.value is not None for factor in path.factors):
        sides += _numbers(path, parts)
    elif explanation.count == 1 and (product := gains(explanation, path)):
        norm = rf"\left\lVert {explanation.name.latex} \right\rVert"
        sides.append([rf"\dots, \quad {norm} = {mathematics(product)}"])
    elif path.contribution is not None:
        sides.append([mathematics(amount(path.contribution))])
    return sides or [[mathematics(amount(path.contribution))]]


def _numbers(path: Path, parts: Sequence[Factor | Fold]) -> list[list[str]]:
    sides = []
    if len(parts) == len(path.factors):
        sides.append([_formula(factor) for factor in path.factors])
    if len(path.factors) > 1:
        sides.append([mathematics(factor_number(factor.value)) for factor in path.factors])
    return [*sides, [mathematics(amount(path.contribution))]]


def _formula(factor: Factor) -> str:
    if factor.formula is None:
        return words("(no formula)")
    inside = factor.formula.latex
    return rf"\left({inside}\right)" if bracketed(factor.formula.text) else inside


def _lines(name: str, sides: Sequence[Sequence[str]]) -> str:
    lines = []
    for index, side in enumerate(sides):
        begin = name if not index else ""
        for start in range(0, len(side), IN_LINE):
            piece = r" \cdot ".join(side[start : start + IN_LINE])
            sign = "=" if not start else r"\quad \cdot"
            lines.append(f"{begin if not start else ''} &{sign} {piece}".strip())
    return " \\\\\n".join(lines)
