"""The command that runs the demos."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
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
    watch: Annotated[
        bool, typer.Option("--dashboard", help="Train two networks, and watch them live.")
    ] = False,
    headless: Annotated[
        bool, typer.Option("--headless", help="With --dashboard: open no browser.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Tell a story of gradients: a real network, or a chapter of the textbook.

    [dim]Example:[/] gradtrace demo attention --output figures
    """
    from gradtrace.demos import DEMOS, run_demo

    if watch:
        _watch(output / "gradtrace-demo", headless=headless)
        return
    if listed:
        rows = [{"name": each.name, "shows": each.line} for each in DEMOS.values()]
        print_rows(rows, as_json=as_json)
        return
    stage = console(quiet=as_json)
    found = run_demo(name or next(iter(DEMOS)), output=output, console=stage)
    if as_json:
        print_json(found)


def _watch(folder: Path, *, headless: bool) -> None:
    """Train in processes of their own while the dashboard shows it."""
    from gradtrace.cli.dashboard import serve
    from gradtrace.errors import GradtraceError

    missing = [name for name in ("torch", "sklearn") if find_spec(name) is None]
    if missing:
        raise GradtraceError(
            f"the demo of the dashboard needs {' and '.join(missing)}; "
            "pip install 'gradtrace[demo,dashboard]'"
        )
    folder.mkdir(parents=True, exist_ok=True)
    trainings = [
        subprocess.Popen([sys.executable, "-m", "gradtrace.demos.live", str(folder), activation])
        for activation in ("relu", "sigmoid")
    ]
    try:
        serve(folder, headless=headless)
    finally:
        for training in trainings:
            training.terminate()
