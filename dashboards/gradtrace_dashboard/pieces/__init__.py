"""Small pieces of the page that are drawn in the browser, and tell what was clicked.

Their JavaScript and CSS are the files beside this one. A drawing comes as SVG in which every
label is escaped already; names of nodes go to a canvas or into text, never into HTML.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

__all__ = ["diagram", "drawing", "heatmap"]


def drawing(svg: str, *, key: str, read: dict[str, Any] | None = None) -> None:
    """Show a drawing; a pointer reads numbers from its curves where there are any."""
    _piece("drawing")(data={"svg": svg, "read": read}, key=key, height="content")


def heatmap(data: dict[str, Any], *, key: str) -> dict[str, Any] | None:
    """Show a heat map; return the cell that was just clicked, or reached by keys and entered."""
    found = _piece("heatmap")(data=data, key=key, height="content", on_picked_change=_nothing)
    picked: dict[str, Any] | None = found.get("picked")
    return picked


def diagram(data: dict[str, Any], *, key: str) -> dict[str, Any] | None:
    """Show a graph that can be panned, zoomed and searched; return what was just clicked."""
    found = _piece("diagram")(data=data, key=key, height="content", on_picked_change=_nothing)
    picked: dict[str, Any] | None = found.get("picked")
    return picked


def _nothing() -> None:
    """Let a click run the page again, which reads it there."""


def _piece(name: str) -> Any:
    return st.components.v2.component(
        f"gradtrace_{name}",
        html='<div class="piece"></div>',
        js=_file(name, "js"),
        css=_file(name, "css"),
    )


@cache
def _file(name: str, ending: str) -> str:
    return Path(__file__).with_name(f"{name}.{ending}").read_text(encoding="utf-8")
