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
    theme: Annotated[str | None, typer.Option(help="paper, grayscale, slides, dark, …")] = None,
    width: Annotated[
        str | None, typer.Option(help="Width of the page: column, text, or inches.")
    ] = None,
    show: Annotated[
        list[str] | None,
        typer.Option(
            help="What is shown, once for each: values, shapes, local_derivatives, "
            "upstream_gradients, gains, parameters, undifferentiated, grids."
        ),
    ] = None,
    passes: Annotated[
        str | None, typer.Option(help="What flows: overlaid, forward, backward, both.")
    ] = None,
    focus: Annotated[
        str | None, typer.Option(help="A scope, or a node, to which the figure is restricted.")
    ] = None,
    highlight: Annotated[
        list[str] | None,
        typer.Option(help="A node with all that was computed of it; several are a path."),
    ] = None,
    fold_repeats: Annotated[
        bool | None,
        typer.Option(help="Draw repeated blocks, and steps of a recurrence, once."),
    ] = None,
    math: Annotated[bool | None, typer.Option(help="Typeset the formulas.")] = None,
    limit_nodes: Annotated[
        int | None, typer.Option(help="Boxes above which more is folded.")
    ] = None,
) -> None:
    """Draw a saved graph.

    [dim]Example:[/] gradtrace render step.gradtrace -o figure.pdf --width column

    [dim]A block, values down and gradients up:[/] -o block.svg --focus encoder.3 --passes both

    [dim]Formulas, for LaTeX:[/] -o figure.tex --math --width text

    [dim]For the browser, to explore:[/] -o step.html
    """
    graph = load(file)
    target = output or file.with_suffix(f".{format or 'svg'}")
    chosen = {
        "depth": depth,
        "direction": direction,
        "focus": focus,
        "fold_repeats": fold_repeats,
        "highlight": highlight,
        "legend": legend,
        "limit_nodes": limit_nodes,
        "math": math,
        "passes": passes,
        "show": show,
        "theme": theme,
        "title": title,
        "width": _inches(width),
    }
    told = {option: value for option, value in chosen.items() if value is not None}
    graph.render(target, format=format, **told)
    typer.echo(target)


def _inches(width: str | None) -> str | float | None:
    """Return a width as a number where it is one."""
    try:
        return None if width is None else float(width)
    except ValueError:
        return width


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
