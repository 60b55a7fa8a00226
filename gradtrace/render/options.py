"""What is chosen of a figure: what it shows, in which theme, on which page."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from gradtrace.errors import OptionError

__all__ = [
    "DIRECTIONS",
    "PAGES",
    "PASSES",
    "SHOW",
    "SHOWN",
    "limit_of",
    "page_width",
    "require_count",
    "shown",
]

DIRECTIONS = ("down", "up", "right", "left")

PASSES = ("overlaid", "forward", "backward", "both")

SHOW = (
    "values",
    "shapes",
    "local_derivatives",
    "upstream_gradients",
    "gains",
    "parameters",
    "undifferentiated",
    "grids",
)
"""What a figure can show besides names."""

SHOWN = SHOW[:-1]
"""What it shows unless told."""

OFF_PAGE = frozenset({"parameters", "undifferentiated"})
"""What is not shown, unless told, where the width of the page is given."""

PAGES = {"column": 3.25, "text": 6.75}
"""Widths of a column and of the text of a paper, in inches."""

LIMITS = ((4.0, 34), (math.inf, 60))
"""Boxes that fit a page up to that many inches wide."""


def shown(show: str | Iterable[str] | None, width: float | None = None) -> frozenset[str]:
    """Return what is to be shown, on a page of that width. Raises `OptionError` for what cannot be.

    >>> sorted(shown(["local derivatives", "values"]))
    ['local_derivatives', 'values']
    >>> sorted(shown(None, 3.25))
    ['gains', 'local_derivatives', 'shapes', 'upstream_gradients', 'values']
    """
    if show is None:
        return frozenset(SHOWN) - (OFF_PAGE if width is not None else frozenset())
    names = [show] if isinstance(show, str) else list(show)
    chosen = [str(name).replace(" ", "_") for name in names]
    for name, wanted in zip(names, chosen, strict=True):
        if wanted not in SHOW:
            listed = ", ".join(map(repr, SHOW))
            raise OptionError(f"show={name!r} is not an option; use any of {listed}")
    return frozenset(chosen)


def page_width(width: str | float | None) -> float | None:
    """Return the width of a page in inches. Raises `OptionError` for what is none.

    >>> page_width("column"), page_width(5.5), page_width(None)
    (3.25, 5.5, None)
    """
    if width is None:
        return None
    if isinstance(width, str) and width in PAGES:
        return PAGES[width]
    number = isinstance(width, int | float) and not isinstance(width, bool)
    if not number or not 1 <= float(width) <= 100:
        raise OptionError(
            f"width={width!r} is not an option; use 'column' (3.25 inches), 'text' (6.75), "
            "a number of inches from 1 to 100, or None"
        )
    return float(width)


def limit_of(limit: int | None, width: float | None, *, usual: int) -> int:
    """Return how many boxes a figure may have: as many as its page holds, unless told."""
    require_count("limit_nodes", limit, optional=True)
    if limit is not None:
        return limit
    return usual if width is None else next(most for inches, most in LIMITS if width <= inches)


def require_count(option: str, value: Any, *, optional: bool = False) -> None:
    """Raise `OptionError` unless `value` is an integer from 1, or None where that is allowed."""
    if value is None and optional:
        return
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        choices = "an integer from 1, or None" if optional else "an integer from 1"
        raise OptionError(f"{option}={value!r} is not an option; use {choices}")
