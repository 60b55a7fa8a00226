"""Hooks on modules, of which a copy of the module has none that hears."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

__all__ = ["Hook"]


class Hook:
    """A hook that is no part of a copy of the module it is on, or of a file with it.

    Models are copied and saved while they train. What stands in its place then does nothing, and
    is from the standard library, so that the file can be read where gradtrace is not.

    >>> import copy
    >>> hook = Hook(lambda *heard: heard)
    >>> hook(1, 2), copy.deepcopy(hook)(1, 2)
    ((1, 2), None)
    """

    __slots__ = ("_call",)

    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call

    def __call__(self, *heard: Any) -> Any:
        return self._call(*heard)

    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, (nullcontext(), "__exit__")
