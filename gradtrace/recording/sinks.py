"""The contract of a sink, with the way to find one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from gradtrace.backends import plugins
from gradtrace.errors import OptionError, RecordingError
from gradtrace.recording.sample import Step

__all__ = ["GROUP", "Sink", "as_sinks", "find_sink"]

GROUP = "gradtrace.sinks"


@runtime_checkable
class Sink(Protocol):
    """Takes recorded steps to another program.

    Declared as an entry point in the group `gradtrace.sinks` that names a class, or a function,
    which makes a sink when called without arguments. All is called from the writer's thread; a
    sink that raises is left out of the rest of the run, with a warning.
    """

    name: str

    def open(self, target: str, facts: Mapping[str, Any]) -> None:
        """Begin a run, or go on with one. `target` is a folder, or an address such as `s3://…`."""
        ...

    def write(self, step: Step) -> None:
        """Take one step."""
        ...

    def close(self) -> None:
        """End the run."""
        ...


def find_sink(name: str) -> Sink:
    """Return a new sink by its name; raise `RecordingError`, which lists those there are."""
    found = plugins(GROUP)
    for plugin in found:
        if plugin.name == name and isinstance(plugin.loaded, Sink):
            return plugin.loaded
        if plugin.name == name:
            reason = plugin.error or f"it is no sink; help({__name__!r}) says what one has"
            raise RecordingError(f"sink {name!r} of {plugin.origin} is broken ({reason})")
    legal = ", ".join(repr(plugin.name) for plugin in found) or "none is installed"
    raise RecordingError(f"no sink is named {name!r}; use one of {legal}")


def as_sinks(sinks: Any) -> tuple[Sink, ...]:
    """Return the sinks that were given: one or several, each of them a sink or its name.

    >>> as_sinks([3])
    Traceback (most recent call last):
    gradtrace.errors.OptionError: sinks=[3] holds 3, which is no sink: it has no open(), …
    """
    given = sinks if isinstance(sinks, list | tuple) else (sinks,)
    found = tuple(find_sink(each) if isinstance(each, str) else each for each in given)
    for each in found:
        missing = [name for name in ("open", "write", "close") if not hasattr(each, name)]
        if missing:
            raise OptionError(
                f"sinks={sinks!r} holds {each!r}, which is no sink: it has no {missing[0]}(); pass "
                "the name of one that is installed, such as 'tensorboard', or a gradtrace sink"
            )
    return found
