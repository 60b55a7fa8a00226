"""The command that explains a gradient of a saved graph."""

from __future__ import annotations

from typing import Annotated

import typer

from gradtrace.cli.app import File, Json, app, load
from gradtrace.cli.output import print_json

__all__ = ["explain"]


@app.command()
def explain(
    file: File,
    target: Annotated[
        str,
        typer.Argument(help="The node whose gradient is explained.", metavar="TARGET"),
    ],
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            help="The node it begins at; where the backward pass began unless told.",
            metavar="NODE",
            show_default=False,
        ),
    ] = None,
    form: Annotated[str, typer.Option(help="text, markdown or latex.")] = "text",
    top: Annotated[
        int, typer.Option(min=1, help="Paths shown one by one; the rest is summed.")
    ] = 3,
    as_json: Json = False,
) -> None:
    """Explain a gradient of a saved graph: the chain rule, factor by factor.

    [dim]Example:[/] gradtrace explain step.gradtrace fc1.weight --top 2
    """
    from gradtrace.facts import plain

    explanation = load(file).explain(target, output, form=form, top=top)
    if as_json:
        print_json({**plain(explanation), "count": explanation.count})
    else:
        typer.echo(explanation)
