"""Compares text with files that were looked at once."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["assert_golden"]

FOLDER = Path(__file__).with_name("golden")


def assert_golden(name: str, text: str) -> None:
    """Compare `text` with its golden file; with GRADTRACE_GOLDEN=write, write the file."""
    path = FOLDER / name
    if os.environ.get("GRADTRACE_GOLDEN") == "write":
        path.write_text(text, encoding="utf-8", newline="\n")
    assert text == path.read_text(encoding="utf-8")
