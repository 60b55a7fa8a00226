"""Whether a number is about to leave the trace where nobody would notice."""

from __future__ import annotations

import linecache
import opcode
import re
from itertools import islice
from types import FrameType
from typing import Any

__all__ = ["leaves_unseen"]

_TELLING = frozenset({"isnan", "isinf", "isfinite", "isclose", "floor", "ceil", "trunc"})
"""Functions of `math` through which no gradient would flow."""


def leaves_unseen(frame: FrameType) -> str | None:
    """Return why the number that is asked for in `frame` would be missed, None where it would not.

    `float(x)` asks for a plain number and says so. An ndarray that takes x for an element asks as
    well, and so does `math.exp(x)`: they would go on without the trace.
    """
    if frame.f_code.co_code[frame.f_lasti] == opcode.opmap["STORE_SUBSCR"]:
        return "it is written to an element of an ndarray"
    called = _called(frame)
    library, name = (str(getattr(called, each, "")) for each in ("__module__", "__name__"))
    if library in ("math", "numpy") and name not in _TELLING:
        return f"{library}.{name} takes and returns plain numbers"
    return None


def _called(frame: FrameType) -> Any:
    """Return the function that a line of source calls by its name, None where it does not tell."""
    line, _, start, _ = next(islice(frame.f_code.co_positions(), frame.f_lasti // 2, None))
    if line is None or start is None:
        return None
    text = linecache.getline(frame.f_code.co_filename, line, frame.f_globals)
    found = re.match(r"([\w.]+)\(", text.encode()[start:].decode(errors="ignore"))
    if found is None:
        return None
    first, *rest = found[1].split(".")
    value = frame.f_locals.get(first, frame.f_globals.get(first))
    for name in rest:
        value = getattr(value, name, None)
    return value
