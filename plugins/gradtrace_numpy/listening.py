"""Where the engine tells what it does to whoever records it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from gradtrace_numpy.arrays import Array
    from gradtrace_numpy.calls import Call

__all__ = ["Follower", "Listener", "follow", "followers", "leave", "listen", "listener"]


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


class Follower(Listener, Protocol):
    """Hears what changes parameters and their gradients as well, over a whole training."""

    def accumulated(self) -> None:
        """Hear that the gradients of a backward pass have been added to `.grad`."""

    def stepping(self, optimizer: Any) -> None:
        """Hear that `optimizer` is about to change its parameters."""

    def stepped(self, optimizer: Any) -> None:
        """Hear that it has done so."""


class _State(threading.local):
    listener: Listener | None = None
    followers: tuple[Follower, ...] = ()
    silent = False


_state = _State()


class _Everybody:
    """Passes on what it hears."""

    def __init__(self, listeners: tuple[Listener, ...]) -> None:
        self._listeners = listeners

    def called(self, call: Call, results: list[Array]) -> None:
        for each in self._listeners:
            each.called(call, results)

    def began(self, output: Array, seed: Any) -> None:
        for each in self._listeners:
            each.began(output, seed)

    def passed(self, call: Call, position: int, share: Any) -> None:
        for each in self._listeners:
            each.passed(call, position, share)

    def arrived(self, array: Array, gradient: Any) -> None:
        for each in self._listeners:
            each.arrived(array, gradient)


def listener(*, followed: bool = True) -> Listener | None:
    """Return who listens in this thread, with those who follow a training unless told."""
    if _state.silent:
        return None
    if not followed or not _state.followers:
        return _state.listener
    own = () if _state.listener is None else (_state.listener,)
    return _Everybody((*_state.followers, *own))


@contextmanager
def listen(new: Listener | None) -> Iterator[None]:
    """Let `new` hear what the engine does in the block, in this thread; None for nobody."""
    before = _state.listener, _state.silent
    _state.listener, _state.silent = new, new is None
    try:
        yield
    finally:
        _state.listener, _state.silent = before


def followers() -> tuple[Follower, ...]:
    """Return who follows a training in this thread."""
    return () if _state.silent else _state.followers


def follow(new: Follower) -> None:
    """Let `new` hear what the engine does in this thread, until it is left."""
    _state.followers = (*_state.followers, new)


def leave(old: Follower) -> None:
    """Let `old` hear no more."""
    _state.followers = tuple(each for each in _state.followers if each is not old)
