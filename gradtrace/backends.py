"""The contract of a backend, with the way to find one."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Protocol, runtime_checkable

from gradtrace.errors import BackendError
from gradtrace.tape import Options, Tape

__all__ = ["Backend", "Plugin", "backends_for", "plugins"]

GROUPS = (
    "gradtrace.backends",
    "gradtrace.renderers",
    "gradtrace.rules",
    "gradtrace.sinks",
    "gradtrace.themes",
)


@runtime_checkable
class Backend(Protocol):
    """Records a tape from one framework.

    Declared as an entry point in the group `gradtrace.backends` that names a class, or a
    function, which makes a backend when called without arguments.
    """

    name: str
    framework: str
    """Name of the module without which there is nothing to record, such as `torch`."""

    def recognizes(self, value: object) -> bool:
        """Tell whether `value` is a model or a tensor of this framework."""
        ...

    def record(
        self, tape: Tape, options: Options, model: Any = None
    ) -> AbstractContextManager[None]:
        """Return a context that records what runs in it, and fills `tape` as it ends."""
        ...


@dataclass(frozen=True, slots=True)
class Plugin:
    """An entry point, loaded or broken."""

    group: str
    name: str
    origin: str
    """The distribution that declares it."""
    loaded: Any = None
    error: str | None = None


def plugins(group: str) -> list[Plugin]:
    """Load every plugin of `group`, keeping a broken one from breaking the rest."""
    return [_load(*declared) for declared in _declared(group, tuple(sys.path))]


@cache
def _declared(group: str, path: tuple[str, ...]) -> list[tuple[EntryPoint, str]]:
    """Return the entry points of `group` and who declares each; reading them takes milliseconds."""
    points = sorted(entry_points(group=group), key=lambda point: point.name)
    return [(point, point.dist.name if point.dist else "unknown") for point in points]


_working: dict[EntryPoint, Plugin] = {}
"""Plugins that could be loaded; a broken one may work when it is tried again."""


def _load(point: EntryPoint, origin: str) -> Plugin:
    if point in _working:
        return _working[point]
    try:
        made = point.load()()
        if point.group == GROUPS[0] and not isinstance(made, Backend):
            raise TypeError("it is no backend; help('gradtrace.backends') says what one has")
        _working[point] = Plugin(point.group, point.name, origin, loaded=made)
        return _working[point]
    except Exception as error:  # whatever a stranger's module raises while it is imported
        reason = f"{type(error).__name__}: {error}"
        if isinstance(error, ModuleNotFoundError) and origin == "gradtrace":
            reason += f"; pip install 'gradtrace[{point.name}]' may provide it"
        return Plugin(point.group, point.name, origin, error=reason)


def backends_for(model: object, name: str | None) -> list[Backend]:
    """Return the backends that a trace starts: the one named, the one that knows the model, or all.

    Without a name and a model, all backends are returned whose framework is already imported:
    a trace of NumPy code does not import torch.
    """
    declared = _declared(GROUPS[0], tuple(sys.path))
    names = [point.name for point, _ in declared]
    if name is not None and name not in names:
        raise BackendError(f"no backend is named {name!r}; installed: {_listed(names)}")
    found = [_load(*each) for each in declared if name in (None, each[0].name)]
    working: list[Backend] = [plugin.loaded for plugin in found if plugin.loaded is not None]
    broken = "".join(
        f"; {plugin.name} is broken ({plugin.error})" for plugin in found if plugin.error
    )
    if model is not None:
        origins = {cls.__module__.partition(".")[0] for cls in type(model).__mro__}
        nearest_first = sorted(working, key=lambda backend: backend.framework not in origins)
        fitting = next((each for each in nearest_first if each.recognizes(model)), None)
        if fitting is None:
            raise BackendError(
                f"no backend recognizes a model of type {type(model).__qualname__!r}; "
                f"pass a model of {_listed(names)}, or no model at all{broken}"
            )
        return [fitting]
    if name is not None and not working:
        raise BackendError(f"backend {name!r} cannot be used{broken}")
    return working if name else [b for b in working if b.framework in sys.modules]


def _listed(names: list[str]) -> str:
    return ", ".join(map(repr, names)) or "none (pip install 'gradtrace[torch]')"
