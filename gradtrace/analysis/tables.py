"""Print rows as columns that stand under each other."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["columns", "percent"]


def columns(rows: Sequence[Sequence[str]], *, align: str, indent: int = 2) -> list[str]:
    """Return a line for each row; `align` has a letter for each column, `l` or `r`.

    >>> columns([["relu", "0.5"], ["linear", "12"]], align="lr")
    ['  relu    0.5', '  linear   12']
    """
    widths = [max(len(row[i]) for row in rows) for i in range(len(align))] if rows else []
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if side == "r" else cell.ljust(width)
            for cell, width, side in zip(row, widths, align, strict=True)
        ]
        lines.append((" " * indent + "  ".join(cells)).rstrip())
    return lines


def percent(share: float | None) -> str:
    """Write a share of a whole.

    >>> [percent(x) for x in (0.123456, -1.5, 0.00001, 0.0, None)]
    ['12.3 %', '-150.0 %', '1e-03 %', '0.0 %', '?']
    """
    if share is None:
        return "?"
    hundredths = 100 * share
    if hundredths and abs(hundredths) < 0.05:
        return f"{hundredths:.0e} %"
    return f"{hundredths:.1f} %"
