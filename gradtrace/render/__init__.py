"""A graph for the eye: as text, as a styled figure, as a drawing in a file."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from html import escape
from os import PathLike
from pathlib import Path
from typing import Any

import networkx as nx

from gradtrace.errors import OptionError, PageError, RenderError
from gradtrace.render.formats import find_writer
from gradtrace.render.parts import Figure, Theme
from gradtrace.render.renderers import Renderer, find_renderer
from gradtrace.render.style import figure
from gradtrace.render.text import text
from gradtrace.render.themes import THEMES

__all__ = ["THEMES", "Figure", "Renderer", "Theme", "draw", "figure", "mimebundle", "text"]

PLAIN = ("shapes", "gains")
"""What a figure shows that does not fit its page with all numbers."""

SMALLER = (22, 14, 8, 5)
"""Boxes that a figure may still have where one with more does not fit its page."""

BINARY = frozenset({"bmp", "eps", "gif", "jpeg", "jpg", "pdf", "png", "ps", "tiff", "webp"})
"""Formats that are returned as bytes, even where their bytes happen to be text."""

FRAMED = 1000
"""Nodes up to which a notebook without Graphviz is given the interactive page, of a megabyte."""


def draw(
    graph: nx.MultiDiGraph[str],
    path: str | PathLike[str] | None,
    *,
    format: str | None = None,
    **options: Any,
) -> Path | str | bytes:
    """Draw `graph` into the file `path`, or return the drawing where `path` is None.

    `format` is taken from the file's ending, and is SVG without a file. The options are those
    of `figure`; formats that hold the whole graph have fewer, which an error lists. Raises
    `OptionError` for an option that does not exist, `RendererError` for a format that nothing
    draws, and `RenderError` where the layout fails.
    """
    format = format or _ending(path)
    writer = find_writer(format)
    _require_options(options, format, writer or figure)
    if writer is not None:
        drawing = writer(graph, **options).encode()
    else:
        drawing = _fitted(graph, find_renderer(format), format, options)
    if path is None:
        return _as_text(drawing, format)
    target = Path(path)
    try:
        target.write_bytes(drawing)
    except OSError as error:
        why = error.strerror or error
        raise RenderError(f"cannot write {target}: {why}; choose another path") from error
    return target


def _fitted(
    graph: nx.MultiDiGraph[str], renderer: Renderer, format: str, options: dict[str, Any]
) -> bytes:
    """Return the drawing, folded further until it fits its page where nobody said how far.

    One that leaves calls out is the last resort.
    """
    error = None
    for made in _ever_less(graph, options):
        try:
            return renderer.render(made, format)
        except PageError as too_large:
            error = error or too_large
    assert error is not None
    raise error


def _ever_less(graph: nx.MultiDiGraph[str], options: dict[str, Any]) -> Iterator[Figure]:
    """Yield the figure, then ever smaller ones, as far as `options` leave it open.

    Names alone are preferred to all numbers of a figure that is folded twice as far.
    """
    if options.get("width") is None:
        yield figure(graph, **options)
        return
    limits = () if {"depth", "limit_nodes"} & options.keys() else SMALLER
    cut: list[Figure] = []
    finer: dict[str, Any] | None = None
    boxes = math.inf
    for limit in (None, *limits):
        if limit is not None and boxes <= limit:
            continue
        chosen = options if limit is None else options | {"limit_nodes": limit}
        made = figure(graph, **chosen)
        boxes = len(made.nodes)
        if made.cut:
            cut.append(made)
            continue
        yield made
        if "show" not in options:
            yield figure(graph, **chosen, show=PLAIN)
            if finer is not None:
                yield figure(graph, **finer, show=())
            finer = chosen
    if finer is not None:
        yield figure(graph, **finer, show=())
    yield from cut


def mimebundle(graph: nx.MultiDiGraph[str]) -> dict[str, str]:
    """Return `graph` for a notebook: as SVG if it can be drawn, as text always.

    The drawing has a ground of its own, for the notebook may be dark. Without a renderer of SVG
    the interactive page stands in its place, up to `FRAMED` nodes.
    """
    shown = {"text/plain": text(graph)}
    paper = replace(THEMES["paper"], background=THEMES["paper"].ground)
    try:
        drawing = draw(graph, None, format="svg", theme=paper)
    except RenderError:
        return {"text/html": _framed(graph), **shown} if len(graph) <= FRAMED else shown
    assert isinstance(drawing, str)
    return {"image/svg+xml": drawing, **shown}


def _framed(graph: nx.MultiDiGraph[str]) -> str:
    """Return the interactive page within a page, apart from all else in it."""
    page = escape(str(draw(graph, None, format="html")))
    style = "width: 100%; height: 600px; border: 1px solid #8888"
    return f'<iframe sandbox="allow-scripts" style="{style}" srcdoc="{page}"></iframe>'


def _as_text(drawing: bytes, format: str) -> str | bytes:
    """Return a drawing as text, unless it is none."""
    if format in BINARY:
        return drawing
    try:
        return drawing.decode()
    except UnicodeDecodeError:
        return drawing


def _ending(path: str | PathLike[str] | None) -> str:
    """Return the format that the ending of `path` names."""
    if path is None:
        return "svg"
    ending = Path(path).suffix.removeprefix(".").lower()
    if not ending:
        raise OptionError(
            f"the path {str(path)!r} has no ending that names a format; "
            "write it as in 'graph.svg', or pass format='svg'"
        )
    return ending


def _require_options(options: dict[str, Any], format: str, taker: Callable[..., Any]) -> None:
    """Raise `OptionError` for an option that `taker`, which draws `format`, does not have."""
    legal = [name for name in inspect.signature(taker).parameters if name != "graph"]
    kind = "a figure" if "direction" in legal else f"format={format!r}"
    for name in options:
        if name not in legal:
            allowed = f"use some of {', '.join(legal)}" if legal else "it takes none"
            raise OptionError(f"{name}= is not an option of {kind}; {allowed}")
