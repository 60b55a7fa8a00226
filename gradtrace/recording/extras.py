"""The packages that reading a recording may ask for."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from gradtrace.errors import RecordingError

__all__ = ["require", "require_pandas"]


def require(module: str, *, purpose: str, extra: str = "recording") -> Any:
    """Import a module late; raise `RecordingError` that says what to install where it is missing.

    >>> require("no_such_module", purpose="a test")
    Traceback (most recent call last):
    gradtrace.errors.RecordingError: a test needs no_such_module; pip install 'gradtrace[recording]'
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name and module.split(".")[0] != error.name.split(".")[0]:
            raise
        raise RecordingError(
            f"{purpose} needs {module}; pip install 'gradtrace[{extra}]'"
        ) from None


def require_pandas() -> Any:
    """Import pandas, in which frames are."""
    return require("pandas", purpose="a frame")
