"""The part of a model in which a call happens, as the user names it."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["entered", "invocations", "scope", "scope_name"]

_serials = itertools.count(1)


class _State(threading.local):
    def __init__(self) -> None:
        self.names: list[str] = []
        self.serials: list[int] = []


_state = _State()


@contextmanager
def scope(name: str) -> Iterator[None]:
    """Let the calls of the block, or of a function it decorates, belong to the scope `name`.

    Scopes nest: inside `encoder`, the scope `attention` is `encoder.attention`.

    >>> with scope("encoder"), scope("attention"):
    ...     scope_name()
    'encoder.attention'
    """
    _state.names.append(name)
    _state.serials.append(next(_serials))
    try:
        yield
    finally:
        _state.names.pop()
        _state.serials.pop()


def scope_name() -> str:
    """Return the dotted path of the scopes around, the outermost first."""
    return ".".join(_state.names)


def entered() -> list[tuple[str, int]]:
    """Return the dotted path of each scope around with the number of its entrance.

    >>> with scope("encoder"), scope("attention"):
    ...     [path for path, _ in entered()]
    ['encoder', 'encoder.attention']
    """
    paths = itertools.accumulate(_state.names, lambda path, name: f"{path}.{name}")
    return list(zip(paths, _state.serials, strict=True))


def invocations() -> tuple[int, ...]:
    """Return a number for each entrance into a scope around: two of one name are told apart."""
    return tuple(_state.serials)
