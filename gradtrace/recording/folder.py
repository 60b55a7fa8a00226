"""The folder of a run: made, named apart from another run's, described by `run.json`."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from gradtrace.errors import FileError
from gradtrace.recording.schema import FACTS, VERSION, rank_files
from gradtrace.recording.store import TakenError

__all__ = ["describe", "find_runs", "free_folder", "read_facts"]

Opened = TypeVar("Opened")

NAMES = 1000
"""Names that are tried for a run before it is given up."""


def free_folder(directory: Path, open_in: Callable[[Path], Opened]) -> tuple[Path, Opened]:
    """Return the first of `directory`, `directory-2`, … that no live writer has, opened.

    A run that has ended is resumed; beside one that still trains, another of its name begins.
    """
    for number in range(1, NAMES):
        folder = directory if number == 1 else directory.with_name(f"{directory.name}-{number}")
        try:
            return folder, open_in(folder)
        except TakenError:
            continue
    raise FileError(f"{directory} and {NAMES - 2} folders beside it are being recorded to")


def describe(folder: Path, facts: Mapping[str, Any]) -> None:
    """Write the facts of a run that has none yet, at once and as a whole.

    Raises `FileError` where `run.json` is somebody else's.
    """
    target = folder / FACTS
    if target.exists():
        read_facts(folder)
        return
    head = {"gradtrace": VERSION, "id": secrets.token_hex(8), "name": folder.name}
    document = {**head, "started": time.time(), **facts}
    unfinished = folder / f".{secrets.token_hex(8)}.unfinished"
    try:
        text = json.dumps(document, indent=2, ensure_ascii=False, default=str)
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)


def read_facts(folder: Path) -> dict[str, Any]:
    """Return the facts in `run.json`; raise `FileError` unless gradtrace wrote them."""
    path = folder / FACTS
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error}") from error
    except ValueError as error:
        raise FileError(f"{path} is damaged: it is no JSON ({error})") from None
    version = document.get("gradtrace") if isinstance(document, dict) else None
    if type(version) is not int:
        raise FileError(f"{path} does not describe a run: gradtrace.record() did not write it")
    if version > VERSION:
        raise FileError(
            f"{path} was recorded by a newer gradtrace (format {version}, this one knows up to "
            f"{VERSION}); upgrade with: pip install --upgrade gradtrace"
        )
    return dict(document)


def find_runs(directory: Path) -> list[Path]:
    """Return the folders of runs at or below `directory`, in the order of their names."""
    if not directory.is_dir():
        raise FileError(f"there is no folder {directory}")
    found = {path.parent for path in directory.rglob("rank*.sqlite")}
    return sorted(folder for folder in found if rank_files(folder))
