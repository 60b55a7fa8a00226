"""The application that commands join, with the options that they share."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from gradtrace.cli.output import console
from gradtrace.errors import GradtraceError

if TYPE_CHECKING:
    from gradtrace.graph import Graph

__all__ = ["Depth", "File", "Json", "app", "load"]


_ORDER = (
    *("demo", "show", "render", "check", "explain", "paths", "diagnose", "diff"),
    *("runs", "dashboard", "export", "plugins"),
)
"""The commands as one comes to need them: a first look, a graph, a training."""


class Commands(TyperGroup):
    """Commands that report an error of gradtrace as one line on the error output."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of the commands in the order of the help."""
        return sorted(super().list_commands(ctx), key=_ORDER.index)

    def invoke(self, ctx: Any) -> Any:
        """Run the command; exit with status 2 where gradtrace refuses what it is asked."""
        try:
            return super().invoke(ctx)
        except GradtraceError as error:
            console(stderr=True).print(
                f"error: {error}", style="red", markup=False, highlight=False, soft_wrap=True
            )
            raise typer.Exit(2) from error


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

File = Annotated[
    Path,
    typer.Argument(help="A graph that graph.save() wrote.", metavar="FILE", show_default=False),
]
Json = Annotated[bool, typer.Option("--json", help="Print as JSON, for other programs.")]
Depth = Annotated[
    int | None,
    typer.Option("--depth", min=1, help="Fold scopes at this depth; 1 is the outermost."),
]


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"gradtrace {version('gradtrace')}")
        raise typer.Exit


@app.callback()
def gradtrace(
    _: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", is_eager=True, callback=_show_version),
    ] = False,
) -> None:
    """See what the gradient did: a training step as a graph with the chain rule on every edge.

    [dim]Begin with:[/] gradtrace demo
    """


def load(file: Path, depth: int | None = None) -> Graph:
    """Return the graph saved in `file`, folded at `depth` if that is given."""
    import gradtrace

    graph = gradtrace.load(file)
    return graph if depth is None else graph.collapse(depth)
