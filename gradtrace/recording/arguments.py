"""What `record` is called with, brought into one form."""

from __future__ import annotations

from typing import Any

__all__ = ["as_tuple", "is_interval"]


def as_tuple(optimizer: Any) -> tuple[Any, ...]:
    """Return the optimizers that were given: none, one, or several."""
    if optimizer is None:
        return ()
    return tuple(optimizer) if isinstance(optimizer, list | tuple) else (optimizer,)


def is_interval(value: object) -> bool:
    """Tell whether `value` is a number of steps, or None for never.

    >>> is_interval(10), is_interval(None), is_interval(0), is_interval(True)
    (True, True, False, False)
    """
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 1)
