"""The command `gradtrace`."""

from gradtrace.cli import analyses, demos, explain, graphs, plugins
from gradtrace.cli.app import app

__all__ = ["analyses", "app", "demos", "explain", "graphs", "main", "plugins"]


def main() -> None:
    """Run the command that the arguments name."""
    app()
