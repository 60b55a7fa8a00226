"""The command `gradtrace`."""

from gradtrace.cli import demos, graphs, plugins, recordings
from gradtrace.cli.app import app

__all__ = ["app", "demos", "graphs", "main", "plugins", "recordings"]


def main() -> None:
    """Run the command that the arguments name."""
    app()
