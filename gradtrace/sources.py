"""The user's line behind a call, found without decoding it inside the step."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from inspect import CO_OPTIMIZED
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from gradtrace.tape import Source

__all__ = [
    "Place",
    "decode",
    "hide",
    "is_hidden",
    "name_in_frames",
    "place",
    "user_frame",
    "user_level",
]

_ONLY_THE_FRAME = 3
"""References to the variables of a frame where nobody but the frame, and who asks, holds them."""

Place = tuple[CodeType, int]
"""A code object and the index of the instruction in it."""

_hidden_files: tuple[str, ...] = (str(Path(__file__).resolve().with_name("capture.py")),)
"""Files, and folders of files, that are not the user's."""

_hidden: dict[int, tuple[bool, CodeType]] = {}
"""What `is_hidden` found, by the id of the code: hashing code costs as much as a call."""


def hide(*packages: str) -> None:
    """Count the folder of each package, given by the `__file__` of a module, as not the user's."""
    global _hidden_files
    folders = [f"{Path(file).resolve().parent}{os.sep}" for file in packages]
    _hidden_files = tuple(dict.fromkeys([*_hidden_files, *folders]))
    _hidden.clear()


def is_hidden(code: CodeType) -> bool:
    """Tell whether code is a framework's or ours, not the user's."""
    known = _hidden.get(id(code))
    if known is None:
        file = code.co_filename
        known = file.startswith(_hidden_files) or file.startswith("<frozen"), code
        _hidden[id(code)] = known
    return known[0]


def place(depth: int) -> Place | None:
    """Return the innermost place, from `depth` frames above, that is the user's."""
    frame: FrameType | None = sys._getframe(depth)
    while frame is not None and is_hidden(frame.f_code):
        frame = frame.f_back
    return None if frame is None else (frame.f_code, frame.f_lasti)


def decode(where: Place | None) -> Source | None:
    """Return file, line and function of a place."""
    if where is None:
        return None
    code, instruction = where
    line = _lines(code).get(instruction, code.co_firstlineno)
    return Source(code.co_filename, line, code.co_qualname)


_line_tables: dict[int, tuple[dict[int, int], CodeType]] = {}


def _lines(code: CodeType) -> dict[int, int]:
    if id(code) not in _line_tables:
        spans = [(start, end, line) for start, end, line in code.co_lines() if line is not None]
        table = {offset: line for start, end, line in spans for offset in range(start, end, 2)}
        _line_tables[id(code)] = table, code
    return _line_tables[id(code)][0]


def name_in_frames(value: Any, outermost: FrameType | None) -> str | None:
    """Return the name of the user's variable that holds `value`, the outermost if several do."""
    found = None
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if not is_hidden(frame.f_code):
            for name, held in _variables(frame).items():
                if held is value and name.isidentifier() and not name.startswith("_"):
                    found = name
                    break
        if frame is outermost:
            break
        frame = frame.f_back
    return found


def _variables(frame: FrameType) -> Mapping[str, Any]:
    """Return the variables of a frame.

    Before Python 3.13 the frame of a function keeps the dict that it gave out, and with it the
    tensors in it, until it returns: that is emptied, unless the user has it from `locals()`.
    """
    given = frame.f_locals
    if type(given) is not dict or not frame.f_code.co_flags & CO_OPTIMIZED:
        return given
    variables = given.copy()
    if sys.getrefcount(given) <= _ONLY_THE_FRAME:
        given.clear()
    return variables


def user_level() -> int:
    """Return the `stacklevel` at which a warning of the caller points at the user's line."""
    user, frame, level = user_frame(2), sys._getframe(1), 1
    while frame is not user and frame.f_back is not None:
        frame, level = frame.f_back, level + 1
    return level


def user_frame(depth: int) -> FrameType | None:
    """Return the innermost frame, from `depth` frames above, that is the user's."""
    frame: FrameType | None = sys._getframe(depth)
    while frame is not None and (
        is_hidden(frame.f_code) or frame.f_code.co_filename.endswith("contextlib.py")
    ):
        frame = frame.f_back
    return frame
