"""Small pieces of the page that are drawn in the browser, and tell what was clicked.

Their JavaScript and CSS are the files beside this one; the diagram of a graph is drawn by the
program of gradtrace's interactive page. A drawing comes as SVG in which every label is escaped
already; names of nodes go to a canvas or into text, never into HTML.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import resources
from typing import Any

import streamlit as st

from gradtrace.render import interactive

__all__ = ["diagram", "drawing", "files", "heatmap"]

STAGE = ("layered.js", "scene.js", "words.js", "hands.js", "stage.js")
"""The part of the interactive page that draws a graph."""


def drawing(svg: str, *, key: str, read: dict[str, Any] | None = None) -> None:
    """Show a drawing; a pointer reads numbers from its curves where there are any."""
    _piece("drawing")(data={"svg": svg, "read": read}, key=key, height="content")


def heatmap(data: dict[str, Any], *, key: str) -> dict[str, Any] | None:
    """Show a heat map; return the cell that was just clicked, or reached by keys and entered."""
    return _picked("heatmap", data, key)


def diagram(data: dict[str, Any], *, key: str) -> dict[str, Any] | None:
    """Show a graph; return what was just clicked, with the scopes that are not as at first."""
    return _picked("diagram", data, key)


def files(data: dict[str, Any], *, key: str, make: Callable[[], None]) -> None:
    """Offer files; `make` is called when one is asked for, and finds in the session which."""
    _piece("files")(data=data, key=key, height="content", on_asked_change=make)


def _picked(name: str, data: dict[str, Any], key: str) -> dict[str, Any] | None:
    found = _piece(name)(data=data, key=key, height="content", on_picked_change=_nothing)
    picked: dict[str, Any] | None = found.get("picked")
    return picked


def _nothing() -> None:
    """Let a click run the page again, which reads it there."""


def _piece(name: str) -> Any:
    return st.components.v2.component(
        f"gradtrace_{name}", html='<div class="piece"></div>', js=_program(name), css=_style(name)
    )


@cache
def _program(name: str) -> str:
    stage = [_text(interactive.__name__, each) for each in STAGE] if name == "diagram" else []
    return "\n".join([*stage, _text(__name__, f"{name}.js")])


@cache
def _style(name: str) -> str:
    page = _text(interactive.__name__, "page.css") if name == "diagram" else ""
    return page.replace(":root", ".piece") + _text(__name__, f"{name}.css")


def _text(package: str, name: str) -> str:
    return resources.files(package).joinpath(name).read_text(encoding="utf-8")
