"""How demos are told: paragraphs, derivations with their numbers, tables, what was checked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich import box
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

import gradtrace
from gradtrace.facts import plain
from gradtrace.render.numbers import number

__all__ = ["Story", "joined", "matrix", "product", "slopes"]

WIDTH = 100
"""Characters up to which a line grows."""

TOLERANCE = 1e-9
"""Largest difference of two sources of a number, relative to the largest magnitude."""


class Story:
    """A demo as it is told on a console, with the facts that it finds on its way."""

    def __init__(self, name: str, output: Path, console: Console) -> None:
        self.name = name
        self.output = output
        self.console = console
        self.facts: dict[str, Any] = {"demo": name, "checks": {}}
        self._tight = False
        """Whether a verdict may follow without an empty line."""
        self._spaced = False
        """Whether the last line is an empty one."""
        console.rule(f"[bold]gradtrace demo: {name}", align="left")

    def part(self, title: str) -> None:
        """Begin a part with its title."""
        self.console.print(Padding(f"[bold]{title}[/]", (0 if self._spaced else 1, 0, 0, 0)))
        self._tight, self._spaced = True, False

    def say(self, text: str) -> None:
        """Print a paragraph."""
        self._show(Text(" ".join(text.split())))

    def derive(self, *lines: tuple[str, ...]) -> None:
        """Print formulas under each other, part by part: symbols, numbers, result."""
        grid = Table.grid(padding=(0, 2, 0, 0))
        for line in lines:
            head, *steps = line
            signed = (re.sub(r"(?<![\w])-(?=\d)", "−", step) for step in steps)
            grid.add_row(Text(head, style="bold"), *(Text(f"= {step}") for step in signed))
        self._show(grid, indent=4)

    def table(self, headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Print rows; numbers stand to the right."""
        table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
        filled = [list(row) for row in rows]
        for index, heading in enumerate(headings):
            numeric = all(isinstance(row[index], float | int) for row in filled)
            table.add_column(heading, justify="right" if numeric else "left")
        for row in filled:
            table.add_row(*(Text(number(x) if isinstance(x, float) else str(x)) for x in row))
        self._show(table, above=0)
        self._spaced = True

    def graph(self, graph: gradtrace.Graph) -> None:
        """Print a graph as text."""
        self._show(Text(str(graph)), indent=0)

    def code(self, text: str) -> None:
        """Print lines of Python, or of numbers, up to 76 characters long."""
        self._show(Syntax(text, "python", background_color="default", word_wrap=True), indent=4)

    def agree(
        self,
        what: str,
        found: npt.ArrayLike,
        expected: npt.ArrayLike,
        *,
        tolerance: float = TOLERANCE,
    ) -> None:
        """Compare two sources of one thing, and say what came of it."""
        left, right = np.asarray(found, np.float64), np.asarray(expected, np.float64)
        scale = max(np.abs(right).max(initial=0.0), np.finfo(np.float64).tiny)
        same = left.shape == right.shape
        error = float(np.abs(left - right).max(initial=0.0) / scale) if same else float("inf")
        self.facts["checks"][what] = error
        detail = f"relative difference {number(error)}" if error else "to the last digit"
        self.verdict(error <= tolerance, what, detail)

    def verdict(self, ok: bool, what: str, detail: str = "") -> None:
        """Say that something holds, or that it does not."""
        mark, style = ("✓", "green") if ok else ("✗", "red")
        line = Text.assemble((f"{mark} {what}", style), (f"  {detail}" if detail else "", "dim"))
        self._show(line, above=0 if self._tight else 1)
        self._tight = True

    def chain_rule(self, graph: gradtrace.Graph) -> None:
        """Check the chain rule at every node of a graph."""
        check = graph.check()
        self.facts["failed"] = len(check.failed)
        self.facts["passed"] = len(check.passed)
        what = f"the chain rule holds at all {len(check.passed)} nodes that a gradient came to"
        if check.failed:
            what = f"the chain rule fails at {', '.join(each.node for each in check.failed)}"
        self.verdict(check.ok, what)

    def figure(self, graph: gradtrace.Graph, **options: Any) -> None:
        """Save the figure of a graph."""
        path = self.output / f"{self.name}.svg"
        graph.render(path, **options)
        self.facts["figure"] = plain(path)
        line = Text.assemble("Figure: ", (str(path), "bold"))
        self.console.print(Padding(line, (1, 2)), soft_wrap=True)

    def _show(self, what: RenderableType, *, indent: int = 2, above: int = 1) -> None:
        padding = Padding(what, (0 if self._spaced else above, 0, 0, indent))
        self.console.print(padding, width=min(WIDTH, self.console.width), highlight=False)
        self._tight = self._spaced = False


def matrix(array: npt.ArrayLike) -> str:
    """Write a small array, a row a line.

    >>> print(matrix([[1.0, -0.25], [100.0, 0.0]]))
    [   1  -0.25 ]
    [ 100      0 ]
    """
    rows = np.atleast_2d(np.asarray(array, np.float64))
    cells = [[number(float(x)) if abs(x) > 5e-15 else "0" for x in row] for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(rows.shape[1])]
    lines = (
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        for row in cells
    )
    return "\n".join(f"[ {line} ]" for line in lines)


def joined(arrays: Iterable[npt.ArrayLike]) -> npt.NDArray[np.float64]:
    """Return the elements of several arrays in one.

    >>> joined([[1.0, 2.0], 3.0])
    array([1., 2., 3.])
    """
    return np.concatenate([np.ravel(np.asarray(array, np.float64)) for array in arrays])


def product(*factors: float) -> str:
    """Write a product.

    >>> product(-2.0, 3.0, -0.5)
    '-2 · 3 · (-0.5)'
    """
    first, *rest = map(number, factors)
    return " · ".join([first, *(f"({each})" if each.startswith("-") else each for each in rest)])


def slopes(function: Any, x: npt.ArrayLike, *, step: float = 1e-6) -> npt.NDArray[np.float64]:
    """Return the gradient of a function of one array by central differences.

    >>> slopes(lambda x: float((x**2).sum()), [1.0, 3.0]).round(6)
    array([2., 6.])
    """
    point = np.array(x, np.float64)
    found = np.empty(point.shape)
    for index in np.ndindex(point.shape):
        ahead, behind = point.copy(), point.copy()
        ahead[index] += step
        behind[index] -= step
        found[index] = (float(function(ahead)) - float(function(behind))) / (2 * step)
    return found
