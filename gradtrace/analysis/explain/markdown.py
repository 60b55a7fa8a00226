"""Write an explanation in Markdown, with mathematics as notebooks and forges show it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gradtrace.analysis.explain.fold import folded
from gradtrace.analysis.explain.latex import equations
from gradtrace.analysis.explain.results import Factor
from gradtrace.analysis.explain.text import (
    columns,
    heading,
    meaning_cells,
    percent,
    shown_legend,
    shown_notes,
)

if TYPE_CHECKING:
    from gradtrace.analysis.explain.explanation import Explanation

__all__ = ["markdown"]


def markdown(explanation: Explanation) -> str:
    """Return `explanation` as a heading, equations and tables."""
    blocks = [f"**{_plain(heading(explanation))}**"]
    if explanation.paths:
        lines = equations(explanation)
        blocks.append(f"$$\n\\begin{{aligned}}\n{lines}\n\\end{{aligned}}\n$$")
    for index, path in enumerate(explanation.paths):
        if any(factor.value is None for factor in path.factors):
            if explanation.count > 1:
                blocks.append(f"Path {index + 1}, {percent(path.share)}:")
            blocks.append(_factors(folded(path.factors, explanation.legend)))
    if explanation.rest:
        blocks.append(f"The rest: {percent(explanation.rest.share)}.")
    if explanation.reason:
        blocks.append(f"*{_plain(explanation.reason)}*")
    legend = [
        [f"${meaning.symbol.latex}$", f"`{cells[1]}`", *map(_plain, cells[2:])]
        for meaning in shown_legend(explanation)
        for cells in [meaning_cells(meaning)]
    ]
    blocks.append(_table([["symbol", "node", "made by", "value", "line"], *legend]))
    notes = shown_notes(explanation)
    blocks += [f"- ${note.formula.latex} =$ ${note.meaning.latex}$" for note in notes]
    return "\n\n".join(blocks)


def _factors(parts: Sequence[object]) -> str:
    rows = columns(parts)  # type: ignore[arg-type]
    table = [list(rows[0])]
    for part, row in zip(parts, rows[1:], strict=True):
        assert hasattr(part, "name")
        known = isinstance(part, Factor) and part.formula is not None
        formula = f"${part.formula.latex}$" if known else _plain(row[1])  # type: ignore[attr-defined]
        table.append([f"${part.name.latex}$", formula, *row[2:]])
    return _table(table)


def _table(rows: Sequence[Sequence[str]]) -> str:
    head, *body = rows
    lines = [head, ["---"] * len(head), *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _plain(text: str) -> str:
    """Keep characters from being read as Markdown."""
    return "".join(f"\\{c}" if c in r"\`*_|<>$[]" else c for c in text)
