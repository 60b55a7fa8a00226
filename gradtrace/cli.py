"""The command `gradtrace`."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from gradtrace.errors import GradtraceError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from gradtrace.backends import Plugin
    from gradtrace.graph import Graph

__all__ = ["app", "main"]


class Commands(TyperGroup):
    """Commands that report an error of gradtrace as one line on the error output."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; exit with status 2 where gradtrace refuses what it is asked."""
        try:
            return super().invoke(ctx)
        except GradtraceError as error:
            _console(stderr=True).print(
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
    """Train a real network, trace one step, draw it.

    [dim]Example:[/] gradtrace demo digits --output figures
    """
    from gradtrace.demos import DEMOS, run_demo

    if listed:
        rows = [{"name": each.name, "shows": each.line} for each in DEMOS.values()]
        _print_rows(rows, as_json=as_json)
        return
    console = _console(quiet=as_json)
    found = run_demo(name or next(iter(DEMOS)), output=output, console=console)
    if as_json:
        _print_json(found)


@app.command()
def show(file: File, depth: Depth = None, as_json: Json = False) -> None:
    """Print a saved graph, a line for each node, with its facts in brief.

    [dim]Example:[/] gradtrace show step.gradtrace --depth 1
    """
    from gradtrace.facts import overview, plain, records

    graph = _load(file, depth)
    if as_json:
        _print_json({"overview": plain(overview(graph)), **records(graph)})
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
        str | None, typer.Option(help="svg, pdf, png, dot, …; the ending of PATH unless told.")
    ] = None,
    depth: Depth = None,
    direction: Annotated[
        str, typer.Option(help="Where values flow: down, up, right, left.")
    ] = "down",
    title: Annotated[str | None, typer.Option(help="What is written above.")] = None,
    legend: Annotated[bool, typer.Option(help="Explain shapes, colours and widths.")] = True,
) -> None:
    """Draw a saved graph.

    [dim]Example:[/] gradtrace render step.gradtrace -o figure.pdf --depth 2
    """
    graph = _load(file)
    target = output or file.with_suffix(f".{format or 'svg'}")
    graph.render(
        target, format=format, depth=depth, direction=direction, title=title, legend=legend
    )
    typer.echo(target)


@app.command()
def check(file: File, as_json: Json = False) -> None:
    """Check the chain rule at every node of a saved graph; exit with status 1 if it fails.

    [dim]Example:[/] gradtrace check step.gradtrace
    """
    from gradtrace.facts import plain

    result = _load(file).check()
    if as_json:
        _print_json({"ok": result.ok, **plain(result)})
    else:
        typer.echo(result)
    raise typer.Exit(0 if result.ok else 1)


@app.command()
def plugins(as_json: Json = False) -> None:
    """List the backends and renderers that are found, with what is wrong with a broken one.

    [dim]Example:[/] gradtrace plugins --json
    """
    from gradtrace.backends import GROUPS
    from gradtrace.backends import plugins as find

    rows = [_plugin_row(plugin) for group in GROUPS for plugin in find(group)]
    if rows or as_json:
        _print_rows(rows, as_json=as_json)
    else:
        typer.echo("no plugin is installed; pip install 'gradtrace[torch,graphviz]' installs two")


def main() -> None:
    """Run the command that the arguments name."""
    app()


def _load(file: Path, depth: int | None = None) -> Graph:
    import gradtrace

    graph = gradtrace.load(file)
    return graph if depth is None else graph.collapse(depth)


def _plugin_row(plugin: Plugin) -> dict[str, Any]:
    """Return what there is to know of a plugin, with what is wrong with it."""
    loaded = plugin.loaded
    framework = getattr(loaded, "framework", None)
    error = plugin.error or _broken_promise(plugin)
    return {
        "kind": plugin.group.removeprefix("gradtrace.").removesuffix("s"),
        "name": plugin.name,
        "from": plugin.origin,
        "state": "broken" if error else "works",
        "serves": [framework] if framework else list(getattr(loaded, "formats", ())),
        "error": error,
    }


def _broken_promise(plugin: Plugin) -> str | None:
    """Return why a plugin that could be loaded cannot be used."""
    from importlib.util import find_spec

    from gradtrace.backends import GROUPS, Backend
    from gradtrace.render import Renderer

    contract = Backend if plugin.group == GROUPS[0] else Renderer
    if not isinstance(plugin.loaded, contract):
        return (
            f"it is no {contract.__name__.lower()}; help({contract.__module__!r}) says what one has"
        )
    framework = getattr(plugin.loaded, "framework", None)
    if framework and find_spec(framework) is None:
        return f"{framework} is not installed; pip install {framework}"
    return None


def _print_rows(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    """Print rows of the same columns as JSON, or as a table."""
    from rich import box
    from rich.table import Table

    if as_json:
        _print_json(rows)
        return
    table = Table(*rows[0], box=box.SIMPLE_HEAD)
    for row in rows:
        broken = row.get("state") == "broken"
        cells = [_cell(value) for value in row.values()]
        table.add_row(*cells, style="red" if broken else None)
    _console().print(table)


def _cell(value: Any) -> Text:
    from rich.text import Text

    return Text(", ".join(map(str, value)) if isinstance(value, list) else str(value or ""))


def _print_json(data: Any) -> None:
    typer.echo(json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False))


def _console(*, stderr: bool = False, quiet: bool = False) -> Console:
    from rich.console import Console

    return Console(stderr=stderr, quiet=quiet)
