"""The command `gradtrace`."""

from gradtrace.cli import demos, graphs, plugins
from gradtrace.cli.app import app

__all__ = ["app", "demos", "graphs", "main", "plugins"]


def main() -> None:
    """Run the command that the arguments name."""
    app()
