"""What `record` is called with, brought into one form."""

from __future__ import annotations

from typing import Any

from gradtrace.errors import OptionError

__all__ = ["as_tuple", "require_intervals"]


def as_tuple(optimizer: Any) -> tuple[Any, ...]:
    """Return the optimizers that were given: none, one, or several."""
    if optimizer is None:
        return ()
    return tuple(optimizer) if isinstance(optimizer, list | tuple) else (optimizer,)


def require_intervals(**intervals: object) -> None:
    """Raise `OptionError` unless each is a number of steps; all but `every` may be None, for never.

    >>> require_intervals(every=1, histograms_every=None)
    >>> require_intervals(every=0)
    Traceback (most recent call last):
    gradtrace.errors.OptionError: every=0 is not a number of steps; use an integer from 1
    """
    for name, value in intervals.items():
        needed = name in ("every", "large_every")
        steps = isinstance(value, int) and not isinstance(value, bool) and value >= 1
        if not steps and (value is not None or needed):
            raise OptionError(
                f"{name}={value!r} is not a number of steps; use an integer from 1"
                + ("" if needed else ", or None")
            )
