"""Calls of the user's own `torch.autograd.Function`, which no function mode sees."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch.autograd import Function

from gradtrace_torch.shared import Shared

__all__ = ["custom_functions"]

Apply = Callable[[Any, Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]
"""Runs a custom function, given its class, what applies it, and its arguments."""


@contextmanager
def custom_functions(run: Apply) -> Iterator[None]:
    """Let `run` run every custom function of this thread; PyTorch has no hook for that.

    `Function.apply` hands over to the class above it, where this steps in: an `apply` that was
    taken from its class before the block, as by `swish = Swish.apply`, comes by there too.
    """
    thread = threading.get_ident()
    with _stepped_in.held():
        _running[thread] = run
        try:
            yield
        finally:
            del _running[thread]


_running: dict[int, Apply] = {}
"""What runs custom functions in each thread that is traced."""


@contextmanager
def _step_in() -> Iterator[None]:
    above: Any = Function.__mro__[1]
    original = vars(above).get("apply")

    def apply(cls: Any, *args: Any, **kwargs: Any) -> Any:
        run, applied = _running.get(threading.get_ident()), super(above, cls).apply
        return applied(*args, **kwargs) if run is None else run(cls, applied, args, kwargs)

    setattr(above, "apply", classmethod(apply))  # noqa: B010  a type checker sees no method
    try:
        yield
    finally:
        if original is None:
            delattr(above, "apply")
        else:
            setattr(above, "apply", original)  # noqa: B010


_stepped_in = Shared(_step_in)
