"""Where the engine tells what it does to whoever records it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from gradtrace_numpy.arrays import Array
    from gradtrace_numpy.calls import Call

__all__ = ["Listener", "listen", "listener"]


class Listener(Protocol):
    """Hears of every call of the forward pass, and of every gradient of the backward pass."""

    def called(self, call: Call, results: list[Array]) -> None:
        """Hear that `call` made `results`."""

    def began(self, output: Array, seed: Any) -> None:
        """Hear that a backward pass begins at `output` with `seed`."""

    def passed(self, call: Call, position: int, share: Any) -> None:
        """Hear what `call` passes back to its operand at `position`."""

    def arrived(self, array: Array, gradient: Any) -> None:
        """Hear the whole gradient that one backward pass brought to `array`."""


class _State(threading.local):
    listener: Listener | None = None


_state = _State()


def listener() -> Listener | None:
    """Return who listens in this thread."""
    return _state.listener


@contextmanager
def listen(new: Listener | None) -> Iterator[None]:
    """Let `new` hear what the engine does in the block, in this thread; None for nobody."""
    before = _state.listener
    _state.listener = new
    try:
        yield
    finally:
        _state.listener = before
