"""The layout of DOT text by Graphviz, in a process of its own with a time limit."""

from __future__ import annotations

import shutil
import subprocess
import sys
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from gradtrace.errors import RendererError, RenderError

__all__ = ["SECONDS", "lay_out"]

SECONDS = 30.0
"""Time limit of one layout."""

SETTINGS = {"png": {"dpi": "150", "size": "60,60"}, "pdf": {"size": "199,199"}}
"""Graph attributes for a format: a size in inches down to which larger drawings are scaled.

Programs cannot show larger pages, and a larger bitmap takes gigabytes.
"""

CHILD = Path(__file__).with_name("child.py")


@lru_cache(maxsize=32)
def lay_out(source: str, format: str, *, seconds: float | None = None) -> bytes:
    """Return the drawing of DOT text, made by `dot`, or by the library in pygraphviz without it.

    Raises `RendererError` where there is neither, and `RenderError` where the layout fails or
    takes more than `seconds` (`SECONDS` unless told).
    """
    limit = SECONDS if seconds is None else seconds
    command = _command(format)
    try:
        done = subprocess.run(
            command, input=source.encode(), capture_output=True, timeout=limit, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise RenderError(
            f"the layout took more than {limit:g} s and was stopped; "
            "draw less of the graph, with depth=1 or a smaller limit_nodes="
        ) from error
    except OSError as error:
        raise RenderError(f"{command[0]} cannot be run: {error}; reinstall Graphviz") from error
    if done.returncode or not done.stdout:
        raise RenderError(
            f"Graphviz failed with status {done.returncode}: {_complaint(done.stderr)}; "
            "draw less of the graph with depth=, or save it with format='dot' to see its text"
        )
    return done.stdout


def _command(format: str) -> list[str]:
    settings = [f"{name}={value}" for name, value in SETTINGS.get(format, {}).items()]
    program = shutil.which("dot")
    if program:
        return [program, f"-T{format}", *(f"-G{setting}" for setting in settings)]
    if find_spec("pygraphviz") is None:
        raise RendererError(
            f"format={format!r} needs Graphviz: neither a program 'dot' nor the package "
            "'pygraphviz' is installed; pip install 'gradtrace[graphviz]', or use format='dot'"
        )
    return [sys.executable, "-P", str(CHILD), format, *settings]


def _complaint(stderr: bytes) -> str:
    """Return the last words of a failed program."""
    lines = [line for line in stderr.decode(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"
