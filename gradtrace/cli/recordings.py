"""The commands that list recorded runs, then take them to other programs."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from gradtrace.cli.app import Json, app
from gradtrace.cli.output import print_json, print_rows

__all__ = ["export", "runs"]


@app.command()
def runs(
    directory: Annotated[
        Path, typer.Argument(help="A folder with runs in it, or a run.", metavar="DIR")
    ] = Path("runs"),
    as_json: Json = False,
) -> None:
    """List recorded runs: state, steps, last loss, findings.

    [dim]Example:[/] gradtrace runs runs
    """
    from gradtrace.recording.folder import find_runs

    rows = [_row(path, directory) for path in find_runs(directory)]
    if not rows and not as_json:
        typer.echo(f"no run is in {directory}; gradtrace.record(model, 'runs/name') makes one")
        return
    if not as_json:
        broken = any(row["error"] for row in rows)
        hidden = {"last_step"} if broken else {"last_step", "error"}
        rows = [{k: _shown(k, each) for k, each in row.items() if k not in hidden} for row in rows]
    print_rows(rows, as_json=as_json)


def _row(path: Path, directory: Path) -> dict[str, Any]:
    """Return what there is to say of a run in a line."""
    from gradtrace.errors import FileError
    from gradtrace.facts import plain
    from gradtrace.recording.reader import open_recording

    name = str(path.relative_to(directory)) if path != directory else path.name
    row: dict[str, Any] = {"run": name, "state": "broken", "steps": None, "last_step": None}
    row |= {"loss": None, "findings": None, "started": None, "ranks": None, "error": None}
    try:
        opened = open_recording(path)
        steps, losses = opened.steps, opened.scalar_values().get("loss")
        row |= {
            "state": opened.state,
            "steps": len(steps),
            "last_step": int(steps[-1]) if len(steps) else None,
            "loss": float(losses[1][-1]) if losses and len(losses[1]) else None,
            "findings": len(opened.findings),
            "started": opened.facts.get("started"),
            "ranks": len(opened.ranks),
        }
    except FileError as error:
        row["error"] = str(error)
    return {key: plain(value) for key, value in row.items()}


def _shown(name: str, value: Any) -> str:
    """Return a cell of the table."""
    from gradtrace.render.numbers import number

    if value is None:
        return ""
    if name == "started" and isinstance(value, float):
        return datetime.fromtimestamp(value).strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, int):
        return f"{value:,}"
    return number(value) if isinstance(value, float) else str(value)


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="The folder of a run.", metavar="RUN")],
    to: Annotated[
        str | None,
        typer.Option(
            help="parquet, csv, jsonl, or a sink such as tensorboard; "
            "what URL ends in, or parquet, unless told.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            help="A path, or an address such as s3://…; beside the run unless told.",
            metavar="URL",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a recorded run for other programs.

    [dim]Example:[/] gradtrace export runs/digits --to parquet -o digits.parquet
    """
    from gradtrace.recording.export import export as write
    from gradtrace.recording.export import format_of
    from gradtrace.recording.reader import open_recording

    to = to or format_of(output)
    place = write(open_recording(run), output, to=to)
    if as_json:
        print_json({"run": str(run), "to": to, "output": place})
    else:
        typer.echo(place)
