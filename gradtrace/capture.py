"""The trace block."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from gradtrace.backends import Backend, backends_for
from gradtrace.derivative import LIMIT
from gradtrace.errors import BackendError, OptionError, TraceError, require_choice
from gradtrace.graph import Graph
from gradtrace.tape import Options, Tape

__all__ = ["give_way", "trace"]

_running = threading.local()


@contextmanager
def trace(
    model: Any = None,
    *,
    keep: str = "summary",
    derivatives: str = "gain",
    detail: str = "call",
    limit: int = LIMIT,
    backend: str | None = None,
) -> Iterator[Graph]:
    """Trace what runs in the block into a graph, which is complete once the block ends.

    Args:
        model: Gives parameters their names and calls their scopes. Without one, leaves are
            named after the variables that hold them.
        keep: What is kept of each tensor: its `"summary"`, the elements of `"small"` ones
            (up to 1,024), or of `"all"`.
        derivatives: How well local derivatives are known: their `"gain"` (free), an estimate
            of their `"norm"` (one probe an edge), or `"exact"`.
        detail: What a node is: a `"call"` as you wrote it, each `"primitive"` that the
            framework differentiates, or each `"module"`.
        limit: Elements up to which an exact dense Jacobian is recorded.
        backend: Name of the backend, where the model does not tell.

    Raises `OptionError` for an option that does not exist, `BackendError` where no backend fits,
    and `TraceError` inside another trace. The model, its gradients and the random state are left
    as they would be without the trace, also when the block raises: the graph then holds what ran.
    """
    require_choice("keep", keep, ("summary", "small", "all"))
    require_choice("derivatives", derivatives, ("gain", "norm", "exact"))
    require_choice("detail", detail, ("call", "primitive", "module"))
    if not isinstance(limit, int) or limit < 0:
        raise OptionError(f"limit={limit!r} is not a number of elements; use an integer from 0")
    make_way = getattr(_running, "give_way", None)
    if make_way is not None:
        make_way()
    if getattr(_running, "trace", False):
        raise TraceError(
            "a trace is already running in this thread; end its block before you begin another"
        )
    options = Options(keep, derivatives, "call" if detail == "module" else detail, limit)
    chosen = backends_for(model, backend)
    graph = Graph.pending()
    tapes = [Tape(backend=each.name) for each in chosen]
    _running.trace = True
    try:
        with ExitStack() as stack:
            for each, tape in zip(chosen, tapes, strict=True):
                stack.enter_context(each.record(tape, options, model))
            yield graph
    finally:
        _running.trace, _running.give_way = False, None
        graph.fill_from(_only(tapes, chosen), fold=detail == "module")


def give_way(end: Callable[[], None]) -> None:
    """Let the trace that runs in this thread be ended by `end` where the user begins another."""
    _running.give_way = end


def _only(tapes: list[Tape], backends: list[Backend]) -> Tape:
    """Return the one tape on which something was recorded."""
    used = [tape for tape in tapes if tape.recorded]
    if len(used) > 1:
        names = ", ".join(repr(tape.backend) for tape in used)
        raise BackendError(f"{names} ran in one trace block; choose one with backend=")
    return used[0] if used else Tape(backend=backends[0].name if len(backends) == 1 else "")
