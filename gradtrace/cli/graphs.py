"""The commands that read a saved graph."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gradtrace.cli.app import Depth, File, Json, app, load
from gradtrace.cli.output import print_json

__all__ = ["check", "render", "show"]


@app.command()
def show(file: File, depth: Depth = None, as_json: Json = False) -> None:
    """Print a saved graph, a line for each node, with its facts in brief.

    [dim]Example:[/] gradtrace show step.gradtrace --depth 1
    """
    from gradtrace.facts import overview, plain, records

    graph = load(file, depth)
    if as_json:
        print_json({"overview": plain(overview(graph)), **records(graph)})
        return
    typer.echo(f"{graph}\n\n{overview(graph)}")


@app.command()
def render(
    file: File,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Where to draw it; FILE with the ending .svg unless told.",
            metavar="PATH",
            show_default=False,
        ),
    ] = None,
    format: Annotated[
        str | None,
        typer.Option(help="svg, pdf, png, dot, tex, mmd, html, …; the ending of PATH unless told."),
    ] = None,
    depth: Depth = None,
    direction: Annotated[
        str | None, typer.Option(help="Where values flow: down, up, right, left.")
    ] = None,
    title: Annotated[str | None, typer.Option(help="What is written above.")] = None,
    legend: Annotated[bool | None, typer.Option(help="Explain shapes, colours and widths.")] = None,
) -> None:
    """Draw a saved graph.

    [dim]Example:[/] gradtrace render step.gradtrace -o figure.pdf --depth 2
    """
    graph = load(file)
    target = output or file.with_suffix(f".{format or 'svg'}")
    options = {"depth": depth, "direction": direction, "title": title, "legend": legend}
    given = {name: value for name, value in options.items() if value is not None}
    graph.render(target, format=format, **given)
    typer.echo(target)


@app.command()
def check(file: File, as_json: Json = False) -> None:
    """Check the chain rule at every node of a saved graph; exit with status 1 if it fails.

    [dim]Example:[/] gradtrace check step.gradtrace
    """
    from gradtrace.facts import plain

    result = load(file).check()
    if as_json:
        print_json({"ok": result.ok, **plain(result)})
    else:
        typer.echo(result)
    raise typer.Exit(0 if result.ok else 1)
