"""Whole steps that are traced while they are recorded."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from gradtrace.capture import give_way, trace
from gradtrace.errors import GradtraceWarning
from gradtrace.graph import Graph
from gradtrace.recording.observer import Follower

__all__ = ["Snapshots"]


class Snapshots:
    """Traces a step from the end of the one before it to its own end.

    A trace of the user's own has precedence; a step of which no trace can begin or end cleanly
    is passed over, so that training never pays for a snapshot.
    """

    def __init__(
        self, model: Any, follower: Follower, every: int | None, keep: Callable[[int, Graph], None]
    ) -> None:
        self._model = model
        self._follower = follower
        self._every = every
        self._keep = keep
        self._block: AbstractContextManager[Graph] | None = None
        self._graph: Graph | None = None
        self._index = 0

    def begin(self, index: int) -> None:
        """Begin to trace step `index`, if its turn has come."""
        due = self._every is not None and index % self._every == 0
        if due and self._block is None and self._follower.quiet(tracing=False):
            block = trace(self._model)
            try:
                self._graph = block.__enter__()
            except Exception as error:  # such as a trace of the user's around the training
                self._give_up(error)
                return
            self._block, self._index = block, index
            give_way(self.abandon)

    def end(self) -> None:
        """End the trace, if one runs, and keep its graph."""
        graph = self._graph
        if self._close() and graph is not None and len(graph):
            self._keep(self._index, graph)

    def abandon(self) -> None:
        """End the trace and keep nothing."""
        self._close()

    def _close(self) -> bool:
        if self._block is None or not self._follower.quiet(tracing=True):
            return False
        block, self._block, self._graph = self._block, None, None
        try:
            block.__exit__(None, None, None)
        except Exception as error:
            self._give_up(error)
            return False
        return True

    def _give_up(self, error: Exception) -> None:
        self._every = None
        warnings.warn(
            f"a step could not be traced ({type(error).__name__}: {error}); "
            "recording goes on without snapshots",
            GradtraceWarning,
            stacklevel=2,
        )
