"""The formats that need no renderer: what writes each of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from importlib import import_module
from typing import Any

from gradtrace.render.style import figure

__all__ = ["FORMATS", "find_writer"]

Writer = Callable[..., str]
"""Writes a graph as text, with keyword-only options."""

FIGURES = {"mmd": "mermaid", "mermaid": "mermaid"}
"""Formats of a styled figure, with the module here whose `write` takes one."""

GRAPHS = {
    "html": "interactive",
    "json": "nodelink",
    "graphml": "graphml",
    "model-explorer": "explorer",
    "model-explorer-data": "explorer_data",
}
"""Formats of the whole graph, with the module here whose `write` takes it."""

FORMATS = (*FIGURES, *GRAPHS)


def find_writer(format: str) -> Writer | None:
    """Return what writes a graph in `format`, or None where that takes a renderer.

    >>> find_writer("mmd").__name__, find_writer("svg")
    ('write', None)
    """
    if format in GRAPHS:
        whole: Writer = import_module(f"gradtrace.render.{GRAPHS[format]}").write
        return whole
    if format in FIGURES:
        return _of_figure(import_module(f"gradtrace.render.{FIGURES[format]}").write)
    return None


def _of_figure(write: Callable[..., str]) -> Writer:
    """Return a writer of graphs from a writer of figures, with the options of `figure`."""

    @wraps(figure)
    def writer(graph: Any, **options: Any) -> str:
        return write(figure(graph, **options))

    writer.__name__ = write.__name__
    return writer
