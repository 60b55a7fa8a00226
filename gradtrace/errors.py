"""Every error that gradtrace raises on purpose.

    GradtraceError
    ├── OptionError             an option or argument with a value that is not allowed
    ├── TraceError              a trace that cannot start or go on
    │   ├── BackendError        no backend, or no single backend, fits
    │   └── GraphNotReadyError  a graph asked for before its trace block ended
    ├── DerivativeError         a local derivative asked for in a form that was not recorded
    ├── FileError               a file that is not a readable graph or recording of ours
    ├── RecordingError          a recording that cannot start, or be read as asked
    └── RenderError             a figure that cannot be drawn
        ├── PageError           a figure that does not fit the page it is drawn for
        └── RendererError       no renderer, or a broken one, for a format

Each message says what went wrong, where, what is allowed and what to do.
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = [
    "BackendError",
    "DerivativeError",
    "FileError",
    "GradtraceError",
    "GradtraceWarning",
    "GraphNotReadyError",
    "OptionError",
    "PageError",
    "RecordingError",
    "RenderError",
    "RendererError",
    "TraceError",
    "require_choice",
]


class GradtraceError(Exception):
    """The root of every error raised by gradtrace."""


class OptionError(GradtraceError, ValueError):
    """An option or argument has a value that is not allowed."""


class TraceError(GradtraceError, RuntimeError):
    """A trace cannot start or go on."""


class BackendError(TraceError):
    """No backend, or no single backend, fits what is to be traced."""


class GraphNotReadyError(TraceError):
    """A graph was asked for before its trace block ended."""


class DerivativeError(GradtraceError, RuntimeError):
    """A local derivative was not recorded in the form asked for."""


class FileError(GradtraceError, ValueError):
    """A file is no graph, or no recording, that this version of gradtrace can read."""


class RecordingError(GradtraceError, RuntimeError):
    """A recording cannot start, or cannot be read as asked."""


class RenderError(GradtraceError, RuntimeError):
    """A figure cannot be drawn."""


class PageError(RenderError):
    """A figure does not fit the page that it is drawn for."""


class RendererError(RenderError):
    """No working renderer is installed for a format."""


class GradtraceWarning(UserWarning):
    """Something was traced or recorded in another way than the user may expect."""


def require_choice(option: str, value: object, allowed: Iterable[object]) -> None:
    """Raise `OptionError` unless `value` is one of `allowed`.

    >>> require_choice("keep", "some", ["summary", "all"])
    Traceback (most recent call last):
    gradtrace.errors.OptionError: keep='some' is not an option; use one of 'summary', 'all'
    """
    legal = list(allowed)
    if value not in legal:
        listed = ", ".join(repr(choice) for choice in legal)
        raise OptionError(f"{option}={value!r} is not an option; use one of {listed}")
