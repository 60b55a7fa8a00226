"""Which modules and parameters are recorded, by their names."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase

from gradtrace.errors import OptionError

__all__ = ["Names", "selector"]

Names = str | Iterable[str] | Callable[[str], bool] | None


def selector(include: Names, exclude: Names) -> Callable[[str], bool]:
    """Return a function that tells whether a name is wanted.

    A pattern also stands for all that is inside the module it names.

    >>> wanted = selector("encoder", ["*.bias", "encoder.0"])
    >>> [wanted(name) for name in ("encoder.1.weight", "encoder.1.bias", "encoder.0.weight", "fc")]
    [True, False, False, False]
    """
    included, excluded = _matcher("include", include), _matcher("exclude", exclude)
    return lambda name: (
        (included is None or included(name)) and not (excluded is not None and excluded(name))
    )


def _matcher(option: str, names: Names) -> Callable[[str], bool] | None:
    if names is None:
        return None
    if callable(names):
        return names
    patterns = [names] if isinstance(names, str) else list(names)
    for pattern in patterns:
        if not isinstance(pattern, str):
            raise OptionError(
                f"{option}={names!r} holds {pattern!r}, which is no name; use patterns such as "
                "'encoder.*', or a function that takes a name"
            )
    both = [form for pattern in patterns for form in (pattern, f"{pattern}.*")]
    return lambda name: any(fnmatchcase(name, form) for form in both)
