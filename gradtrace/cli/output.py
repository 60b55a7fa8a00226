"""How commands print: plain tables for people, JSON for programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

__all__ = ["console", "print_json", "print_rows"]


def print_rows(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    """Print rows of the same columns as JSON, or as a table."""
    from rich import box
    from rich.table import Table

    if as_json:
        print_json(rows)
        return
    table = Table(*rows[0], box=box.SIMPLE_HEAD)
    for row in rows:
        broken = row.get("state") == "broken"
        cells = [_cell(value) for value in row.values()]
        table.add_row(*cells, style="red" if broken else None)
    console().print(table)


def _cell(value: Any) -> Text:
    from rich.text import Text

    return Text(", ".join(map(str, value)) if isinstance(value, list) else str(value or ""))


def print_json(data: Any) -> None:
    """Print plain data as JSON."""
    typer.echo(json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False))


def console(*, stderr: bool = False, quiet: bool = False) -> Console:
    """Return a console on the output, or on the error output; a quiet one prints nothing."""
    from rich.console import Console

    return Console(stderr=stderr, quiet=quiet)
