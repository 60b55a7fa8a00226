"""The arrays in a model, which is a dict of parameters or any object that holds some."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

from gradtrace_numpy.arrays import Array

__all__ = ["arrays_in"]


def arrays_in(model: Any) -> Iterator[tuple[str, Array]]:
    """Yield every array in nested mappings, lists, tuples and objects, with its dotted name.

    >>> from gradtrace_numpy import array
    >>> layers = {"fc": [array([1.0]), {"bias": array([2.0])}]}
    >>> [name for name, _ in arrays_in(layers)]
    ['fc.0', 'fc.1.bias']
    """
    seen: set[int] = set()
    waiting = [("", model)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, Array):
            yield path, value
        elif id(value) not in seen:
            seen.add(id(value))
            parts = [(f"{path}.{name}" if path else name, part) for name, part in _parts(value)]
            waiting.extend(reversed(parts))


def _parts(value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, Mapping):
        return [(str(key), part) for key, part in value.items()]
    if isinstance(value, list | tuple):
        names = getattr(value, "_fields", range(len(value)))
        return [(str(name), part) for name, part in zip(names, value, strict=True)]
    if isinstance(value, type | ModuleType) or hasattr(type(value), "__get__"):
        return []  # what a class, a module or a function holds is not the model's
    slots = [name for cls in type(value).__mro__ for name in _slots(cls)]
    named = [(name, getattr(value, name)) for name in slots if hasattr(value, name)]
    return named + list(getattr(value, "__dict__", {}).items())


def _slots(cls: type) -> tuple[str, ...]:
    slots = vars(cls).get("__slots__", ())
    names = (slots,) if isinstance(slots, str) else tuple(slots)
    return tuple(name for name in names if not name.startswith("__"))
