"""The command `gradtrace`."""

from gradtrace.cli import analyses, dashboard, demos, explain, graphs, plugins, recordings
from gradtrace.cli.app import app

__all__ = [
    "analyses",
    "app",
    "dashboard",
    "demos",
    "explain",
    "graphs",
    "main",
    "plugins",
    "recordings",
]


def main() -> None:
    """Run the command that the arguments name."""
    app()
