"""A graph as one interactive page, which opens in any browser and loads nothing."""

from __future__ import annotations

import json
import re
from html import escape
from importlib.resources import files
from typing import Any

import networkx as nx

from gradtrace.errors import OptionError
from gradtrace.render.interactive.data import page_data

__all__ = ["write"]

SCRIPTS = ("layered.js", "scene.js", "words.js", "panel.js", "hands.js", "stage.js", "page.js")
"""The program of the page, each file after those that it needs."""

POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
"""What the browser is told to refuse: everything that is not in the file."""


def write(
    graph: nx.MultiDiGraph[str], *, depth: int | None = None, title: str | None = None
) -> str:
    """Return `graph` as a page to pan, zoom, search, fold and click through.

    Args:
        graph: The graph to show, all of it, with its numbers and formulas.
        depth: At which scopes it opens: 0 shows the outermost closed. Without it, as many scopes
            are open as fit on a screen.
        title: What is written above, and in the browser's tab.

    The page has light and dark colours, works without a mouse, and says what a node, an edge or
    a scope knows when it is chosen. Raises `OptionError` for a `depth` that is no count.
    """
    if depth is not None and (not isinstance(depth, int) or isinstance(depth, bool) or depth < 0):
        raise OptionError(f"depth={depth!r} is not an option; use an integer from 0, or None")
    parts = {
        "policy": POLICY,
        "title": escape(title or "gradtrace"),
        "style": _part("page.css"),
        "heading": escape(title or ""),
        "data": _embedded({"depth": depth, **page_data(graph)}),
        "program": "\n".join(_part(name) for name in SCRIPTS),
    }
    pieces = re.split(r"\{\{(\w+)\}\}", _part("page.html"))
    return "".join(parts[each] if at % 2 else each for at, each in enumerate(pieces))


def _embedded(data: dict[str, Any]) -> str:
    r"""Return `data` as JSON that no HTML parser reads anything else in.

    >>> print(_embedded({"name": "</script><!--&"}))
    {"name":"\u003c/script\u003e\u003c!--\u0026"}
    """
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _part(name: str) -> str:
    return files(__name__).joinpath(name).read_text(encoding="utf-8")
