"""The command that runs the demos."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gradtrace.cli.app import Json, app
from gradtrace.cli.output import console, print_json, print_rows

__all__ = ["demo"]


@app.command()
def demo(
    name: Annotated[
        str | None, typer.Argument(help="Which demo; the first one unless told.", metavar="NAME")
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the files it makes.", metavar="DIR")
    ] = Path(),
    listed: Annotated[bool, typer.Option("--list", help="List the demos; run none.")] = False,
    as_json: Json = False,
) -> None:
    """Tell a story of gradients: a real network, or a chapter of the textbook.

    [dim]Example:[/] gradtrace demo attention --output figures
    """
    from gradtrace.demos import DEMOS, run_demo

    if listed:
        rows = [{"name": each.name, "shows": each.line} for each in DEMOS.values()]
        print_rows(rows, as_json=as_json)
        return
    stage = console(quiet=as_json)
    found = run_demo(name or next(iter(DEMOS)), output=output, console=stage)
    if as_json:
        print_json(found)
