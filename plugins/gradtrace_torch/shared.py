"""Changes of the whole process that traces in several threads need at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType

__all__ = ["Shared"]


class Shared:
    """A change that is made for the first who enters, and undone as the last leaves.

    Who leaves first need not have entered last, so that none of them may restore what it found.
    `make` makes the change and returns what undoes it.

    >>> log = []
    >>> def make():
    ...     log.append("made")
    ...     return lambda: log.append("undone")
    >>> change = Shared(make)
    >>> with change, change:
    ...     log.append("at work")
    >>> log
    ['made', 'at work', 'undone']
    """

    def __init__(self, make: Callable[[], Callable[[], object]]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._inside = 0
        self._undo: Callable[[], object] = make

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._undo = self._make()
            self._inside += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._undo()
