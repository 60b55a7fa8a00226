"""What a case of misuse is, and what its error has to be like."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

import gradtrace_numpy as gn
from gradtrace.errors import GradtraceError

__all__ = ["Case", "assert_teaches", "x"]

Case = tuple[type[Exception], str, Callable[[], Any]]
"""The error, part of its message, and what raises it."""


def x() -> gn.Array:
    return gn.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], name="x")


def assert_teaches(case: Case) -> None:
    """Require that the misuse raises the error of gradtrace with that message."""
    error, message, misuse = case
    with pytest.raises(error, match=re.escape(message)) as raised:
        misuse()
    assert isinstance(raised.value, GradtraceError)
