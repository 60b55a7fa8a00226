"""Write an explanation as text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import PurePath
from typing import TYPE_CHECKING

from gradtrace.analysis.explain.fold import READABLE, Fold, folded
from gradtrace.analysis.explain.results import Factor, Meaning, Note, Path
from gradtrace.formulas.names import superscript
from gradtrace.render.numbers import measure, number, printable, shape
from gradtrace.summary import Summary

if TYPE_CHECKING:
    from gradtrace.analysis.explain.explanation import Explanation

__all__ = [
    "amount",
    "bracketed",
    "columns",
    "count",
    "factor_number",
    "gains",
    "heading",
    "meaning_cells",
    "percent",
    "shown_legend",
    "shown_notes",
    "text",
]

WRAP = 96
"""Characters after which a chain goes on in the next line."""


def text(explanation: Explanation) -> str:
    """Return `explanation` as lines of text."""
    blocks = [heading(explanation), *_body(explanation)]
    if explanation.reason:
        blocks.append(f"({explanation.reason})")
    blocks.append(_where(explanation))
    return "\n\n".join(block for block in blocks if block)


def _body(explanation: Explanation) -> list[str]:
    """Write the paths, then what the others carry together."""
    several = explanation.count > 1
    blocks = [
        _path(explanation, path, index + 1 if several else None)
        for index, path in enumerate(explanation.paths)
    ]
    return [*blocks, _rest(explanation)] if explanation.rest else blocks


def shown_legend(explanation: Explanation) -> list[Meaning]:
    """Return the meanings of the symbols that are written: those of a fold are not."""
    written = set(re.findall(r"\w+", "\n".join([heading(explanation), *_body(explanation)])))
    return [meaning for meaning in explanation.legend if str(meaning.symbol) in written]


def shown_notes(explanation: Explanation) -> list[Note]:
    """Return the notes on what is written."""
    body = "\n".join(_body(explanation))
    names = set(re.findall(r"\w+", body))
    ops = {meaning.op for meaning in shown_legend(explanation)}
    return [
        note
        for note in explanation.notes
        if (text := note.formula.text) in names
        or text in ops
        or (not text.isidentifier() and text.replace("·)", "") in body)
    ]


def heading(explanation: Explanation) -> str:
    """Write what is explained, with its number."""
    target, output = explanation.target, explanation.output or "the outputs"
    line = f"{explanation.name}, from {output} back to {target}"
    if explanation.value is not None:
        line += f": {amount(explanation.value)}"
    if explanation.count > 1:
        line += f", the sum over {count(explanation.count)} paths"
    return printable(line)


def amount(summary: Summary | None) -> str:
    """Write a gradient: its number, or its norm."""
    written, is_norm = measure(summary)
    return f"norm {minus(written)}" if is_norm else minus(written)


def count(paths: int) -> str:
    """Write a number of paths, which may be astronomical.

    >>> count(12288), count(2**100)
    ('12,288', '1.3·10³⁰')
    """
    if paths < 10**9:
        return f"{paths:,}"
    mantissa, exponent = f"{Decimal(paths):.1e}".split("e+")
    return f"{mantissa}·10{superscript(exponent)}"


def minus(written: str) -> str:
    """Write the sign of a number as one does in a formula.

    >>> minus("-1.5e-3")
    '−1.5e−3'
    """
    return written.replace("-", "−")


def percent(share: float | None) -> str:
    """Write a share with 3 digits.

    >>> percent(0.1234), percent(-1.5), percent(1e-9), percent(None)
    ('12.3 %', '−150 %', '1e−7 %', 'share not known')
    """
    return "share not known" if share is None else f"{minus(number(100 * share))} %"


def _path(explanation: Explanation, path: Path, serial: int | None) -> str:
    parts = folded(path.factors, explanation.legend)
    head = [] if serial is None else [_title(path, serial)]
    name = str(explanation.name) if serial is None else "   "
    sides = _sides(path, parts)
    if [name] == sides[0]:
        sides = sides[1:]
    lines = _equations(name, sides)
    if all(factor.value is not None for factor in path.factors):
        return "\n".join([*head, *lines])
    product = gains(explanation, path) if serial is None else None
    if product:
        lines[-1:] = [f"‖{name}‖ = {product}"]
    return "\n".join([*head, *lines, "", *_table(columns(parts))])


def _sides(path: Path, parts: Sequence[Factor | Fold]) -> list[list[str]]:
    """Return what the contribution of a path equals: products, each as its factors."""
    sides = [[str(part.name) for part in parts]]
    if path.equation is not None:
        sides.append([str(path.equation)])
    if any(factor.value is None for factor in path.factors):
        known = path.contribution is not None and len(path.factors) > 1
        return [*sides, [amount(path.contribution)]] if known else sides
    if len(parts) == len(path.factors):
        sides.append([_formula(factor) for factor in path.factors])
    if len(path.factors) > 1:
        sides.append([factor_number(factor.value) for factor in path.factors])
    return [*sides, [amount(path.contribution)]]


def _equations(name: str, sides: Sequence[Sequence[str]]) -> list[str]:
    """Write what equals `name`, a line for each side."""
    lines: list[str] = []
    for side in sides:
        lines += _wrapped(f"{' ' * len(name) if lines else name} = ", side)
    return lines


def _title(path: Path, serial: int) -> str:
    kind = "" if path.exact or path.share is None else " by the shares at fan-outs"
    return f"{serial}. {percent(path.share)}{kind}, {len(path.nodes) - 1:,} calls"


def gains(explanation: Explanation, path: Path) -> str | None:
    """Write the norm as the product of the gains, which it is where there is but one path."""
    known = [factor.gain for factor in path.factors if factor.gain is not None]
    complete = len(known) == len(path.factors) <= READABLE
    if not complete or explanation.seed is None or path.contribution is None:
        return None
    seed = explanation.seed.norm
    product = [number(gain) for gain in ([] if seed == 1 else [seed]) + known]
    return f"{minus(' · '.join(product))} = {minus(number(path.contribution.norm))}"


def _wrapped(begin: str, factors: Sequence[str]) -> list[str]:
    """Write a product, going on in further lines where it is long."""
    lines, line = [], begin
    for index, factor in enumerate(factors):
        piece = factor if not index else f" · {factor}"
        if len(line) + len(piece) > WRAP and index:
            lines.append(line)
            line = " " * len(begin) + f"· {factor}"
        else:
            line += piece
    return [*lines, line]


def bracketed(written: str) -> bool:
    """Tell whether a factor needs parentheses: a sum does.

    >>> bracketed("x + y"), bracketed("2(x + y)"), bracketed("−x")
    (True, False, True)
    """
    depth, found = 0, written.startswith("−")
    for index, character in enumerate(written):
        depth += (character == "(") - (character == ")")
        found |= depth == 0 and written[index : index + 3] in (" + ", " − ")
    return found


def _formula(factor: Factor) -> str:
    if factor.formula is None:
        return "(no formula)"
    written = factor.formula.text
    return f"({written})" if bracketed(written) else written


def factor_number(value: float | None) -> str:
    """Write a number as a factor."""
    written = minus(number(value))
    return f"({written})" if written.startswith("−") else written


def columns(parts: Sequence[Factor | Fold]) -> list[tuple[str, ...]]:
    """Return the table of the factors of a path, with its heading."""
    rows = [("factor", "makes of δ", "sizes", "structure", "norm", "gain", "share")]
    for part in parts:
        if isinstance(part, Fold):
            calls = f"… {part.calls:,} calls" + (f" in {part.scope}" if part.scope else "")
            rows.append((str(part.name), calls, "", "", "", _gain(part.gain), _share(part.share)))
            continue
        formula = str(part.formula) if part.formula else "(no formula)"
        about = "≈" if part.estimated else ""
        norm = "" if part.norm is None else about + number(part.norm)
        cells = (formula, part.sizes, part.structure, norm, _gain(part.gain), _share(part.share))
        rows.append((str(part.name), *cells))
    filled = [i for i in range(len(rows[0])) if i < 2 or any(row[i] for row in rows[1:])]
    return [tuple(row[i] for i in filled) for row in rows]


def _gain(gain: float | None) -> str:
    return "" if gain is None else number(gain)


def _share(share: float | None) -> str:
    return "" if share is None or share == 1 else percent(share)


def _table(rows: Iterable[Sequence[str]]) -> list[str]:
    listed = [list(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*listed, strict=True)]
    return [
        "  " + "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip()
        for row in listed
    ]


def _rest(explanation: Explanation) -> str:
    rest = explanation.rest
    assert rest is not None
    what = f"{count(rest.count)} more path{'s' if rest.count > 1 else ''}"
    carried = f", together {amount(rest.contribution)}" if rest.contribution else ""
    return f"{len(explanation.paths) + 1}. {percent(rest.share)}, {what}{carried}"


def _where(explanation: Explanation) -> str:
    rows = [meaning_cells(meaning) for meaning in shown_legend(explanation)]
    lines = ["where", *_table(rows)] if rows else []
    notes = [(note.formula.text, f"= {note.meaning.text}") for note in shown_notes(explanation)]
    if notes:
        lines += ["", *_table(notes)]
    return "\n".join(lines)


def meaning_cells(meaning: Meaning) -> tuple[str, ...]:
    """Return a line of the legend: symbol, node, what made it, number or shape, source."""
    made = f"{meaning.kind}" if meaning.op is None or meaning.kind != "call" else meaning.op
    value = ""
    if meaning.value is not None:
        sizes = shape(meaning.value.shape)
        value = f"= {amount(meaning.value)}" if meaning.value.size == 1 else sizes
    place = ""
    if meaning.source is not None:
        place = f"{PurePath(meaning.source.file).name}:{meaning.source.line}"
    return str(meaning.symbol), printable(meaning.node), made, value, place
