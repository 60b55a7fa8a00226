"""The command `gradtrace`."""

from gradtrace.cli import analyses, demos, explain, graphs, plugins, recordings
from gradtrace.cli.app import app

__all__ = ["analyses", "app", "demos", "explain", "graphs", "main", "plugins", "recordings"]


def main() -> None:
    """Run the command that the arguments name."""
    app()
