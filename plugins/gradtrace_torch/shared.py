"""Changes of the whole process that traces in several threads need at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

__all__ = ["Shared"]


class Shared:
    """A change that is made for the first who needs it, and undone after the last.

    Who comes first need not go last, so that none of them may restore what it found.

    >>> @contextmanager
    ... def change():
    ...     print("made")
    ...     yield
    ...     print("undone")
    >>> shared = Shared(change)
    >>> with shared.held(), shared.held():
    ...     print("at work")
    made
    at work
    undone
    """

    def __init__(self, change: Callable[[], AbstractContextManager[Any]]) -> None:
        self._change = change
        self._lock = threading.Lock()
        self._holders = 0
        self._made = ExitStack()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the change."""
        with self._lock:
            if not self._holders:
                self._made.enter_context(self._change())
            self._holders += 1
        try:
            yield
        finally:
            with self._lock:
                self._holders -= 1
                if not self._holders:
                    self._made.close()
