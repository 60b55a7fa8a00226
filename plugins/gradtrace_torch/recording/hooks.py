"""Hooks on modules, of which a copy of the module has none that hears."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from typing import Any

__all__ = ["Hook"]


class Hook(partial[Any]):
    """A hook that is no part of a copy of the module it is on, or of a file with it.

    Models are copied and saved while they train. What stands in its place then does nothing, and
    is from the standard library, so that the file can be read where gradtrace is not.

    >>> import copy
    >>> hook = Hook(lambda *heard: heard)
    >>> hook(1, 2), copy.deepcopy(hook)(1, 2)
    ((1, 2), None)
    """

    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, (nullcontext(), "__exit__")
