"""Calls of the user's own `torch.autograd.Function`, which no function mode sees."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from torch.autograd import Function

__all__ = ["custom_functions"]

Apply = Callable[[Any, Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]
"""Runs a custom function, given its class, what applies it, and its arguments."""


@contextmanager
def custom_functions(run: Apply) -> Iterator[None]:
    """Let `run` run every custom function of the block; PyTorch has no hook for that."""
    original = vars(Function)["apply"]

    def apply(cls: Any, *args: Any, **kwargs: Any) -> Any:
        return run(cls, partial(original.__func__, cls), args, kwargs)

    setattr(Function, "apply", classmethod(apply))  # noqa: B010  a type checker sees no method
    try:
        yield
    finally:
        setattr(Function, "apply", original)  # noqa: B010
