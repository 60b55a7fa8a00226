"""The commands that analyse saved graphs; status 1 where something warns, fails or parts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gradtrace.cli.app import File, Json, app, load
from gradtrace.cli.output import print_json

__all__ = ["diagnose", "diff", "paths"]


@app.command()
def paths(
    file: File,
    source: Annotated[str, typer.Argument(help="The node that gradients come back to.")],
    target: Annotated[
        str | None, typer.Argument(help="Where they come from; the output unless told.")
    ] = None,
    top: Annotated[int, typer.Option(help="How many paths are told apart.")] = 10,
    as_json: Json = False,
) -> None:
    """Say what each path and each fan-out contributes; exit with status 1 if nothing comes back.

    [dim]Example:[/] gradtrace paths step.gradtrace block1.conv.weight --top 3
    """
    from gradtrace.facts import plain

    result = load(file).paths(source, target, top=top)
    if as_json:
        print_json(plain(result))
    else:
        typer.echo(result)
    raise typer.Exit(0 if result.count else 1)


@app.command()
def diagnose(
    file: File,
    rule: Annotated[
        list[str] | None, typer.Option("--rule", help="Apply this rule; may be repeated.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Say what is wrong with the gradients; exit with status 1 on a warning or an error.

    [dim]Example:[/] gradtrace diagnose step.gradtrace --rule vanishing --rule exploding
    """
    from gradtrace.facts import plain

    result = load(file).diagnose(rules=rule or None)
    if as_json:
        print_json({"ok": result.ok, **plain(result)})
    else:
        typer.echo(result)
    raise typer.Exit(0 if result.ok else 1)


@app.command()
def diff(
    file: File,
    other: Annotated[Path, typer.Argument(help="Another saved graph.", metavar="OTHER")],
    tolerance: Annotated[
        float | None,
        typer.Option(help="Relative difference that is none; by type unless told.", min=0.0),
    ] = None,
    as_json: Json = False,
) -> None:
    """Say where two runs part, forward and backward; exit with status 1 if they do.

    [dim]Example:[/] gradtrace diff before.gradtrace after.gradtrace
    """
    from gradtrace.facts import plain

    result = load(file).diff(load(other), tolerance=tolerance)
    if as_json:
        first = {"first_value": result.first_value, "first_gradient": result.first_gradient}
        print_json({"same": result.same, **plain(first), **plain(result)})
    else:
        typer.echo(result)
    raise typer.Exit(0 if result.same else 1)
