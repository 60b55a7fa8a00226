"""Calls of the user's own `torch.autograd.Function`, which no function mode sees."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch.autograd import Function

__all__ = ["custom_functions"]

Apply = Callable[[Any, Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]
"""Runs a custom function, given its class, what applies it, and its arguments."""


@contextmanager
def custom_functions(run: Apply) -> Iterator[None]:
    """Let `run` run every custom function of the block; PyTorch has no hook for that.

    `Function.apply` hands over to the class above it, where this steps in: an `apply` that was
    taken from its class before the block, as by `swish = Swish.apply`, comes by there too.
    """
    above: Any = Function.__mro__[1]
    original = vars(above).get("apply")

    def apply(cls: Any, *args: Any, **kwargs: Any) -> Any:
        return run(cls, super(above, cls).apply, args, kwargs)

    setattr(above, "apply", classmethod(apply))  # noqa: B010  a type checker sees no method
    try:
        yield
    finally:
        if original is None:
            delattr(above, "apply")
        else:
            setattr(above, "apply", original)  # noqa: B010
