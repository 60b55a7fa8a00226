"""The command that lists plugins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from gradtrace.cli.app import Json, app
from gradtrace.cli.output import print_rows

if TYPE_CHECKING:
    from gradtrace.backends import Plugin

__all__ = ["plugins"]


@app.command()
def plugins(as_json: Json = False) -> None:
    """List the backends, renderers, rules and sinks, with what is wrong with a broken one.

    [dim]Example:[/] gradtrace plugins --json
    """
    from gradtrace.backends import GROUPS
    from gradtrace.backends import plugins as find

    rows = [_plugin_row(plugin) for group in GROUPS for plugin in find(group)]
    if rows or as_json:
        print_rows(rows, as_json=as_json)
    else:
        typer.echo("no plugin is installed; pip install 'gradtrace[torch,graphviz]' installs two")


def _plugin_row(plugin: Plugin) -> dict[str, Any]:
    """Return what there is to know of a plugin, with what is wrong with it."""
    loaded = plugin.loaded
    framework = getattr(loaded, "framework", None)
    error = plugin.error or _broken_promise(plugin)
    served = getattr(loaded, "formats", None) or [getattr(loaded, "looks_for", None)]
    return {
        "kind": plugin.group.removeprefix("gradtrace.").removesuffix("s"),
        "name": plugin.name,
        "from": plugin.origin,
        "state": "broken" if error else "works",
        "serves": [framework] if framework else [each for each in served if each],
        "error": error,
    }


def _broken_promise(plugin: Plugin) -> str | None:
    """Return why a plugin that could be loaded cannot be used."""
    from importlib.util import find_spec

    from gradtrace.analysis.diagnose import Rule
    from gradtrace.backends import GROUPS, Backend
    from gradtrace.recording.sinks import Sink
    from gradtrace.render import Renderer, Theme

    contract = dict(zip(GROUPS, (Backend, Renderer, Rule, Sink, Theme), strict=True))[plugin.group]
    if not isinstance(plugin.loaded, contract):
        return (
            f"it is no {contract.__name__.lower()}; help({contract.__module__!r}) says what one has"
        )
    framework = getattr(plugin.loaded, "framework", None)
    if framework and find_spec(framework) is None:
        return f"{framework} is not installed; pip install {framework}"
    return None
