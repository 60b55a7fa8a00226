"""What the pages read: runs, their quantities over time, and saved graphs, each read once.

All of it is shared by everybody who looks. What changed on disk since is read again, a run that
grew only from where it was left.
"""

from __future__ import annotations

import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import gradtrace
from gradtrace.errors import FileError, GradtraceError
from gradtrace.recording.folder import find_runs
from gradtrace.recording.rankfile import Scalar
from gradtrace.recording.reader import Recording, open_recording
from gradtrace.recording.schema import rank_files
from gradtrace_dashboard.cells import Cells
from gradtrace_dashboard.tracks import Track

__all__ = [
    "AHEAD",
    "Run",
    "cells",
    "graph",
    "quantities",
    "recorded",
    "root",
    "runs",
    "scalars",
    "stamp",
    "steps",
]

PATIENCE = 0.3
"""Seconds that a page waits for a quantity; what is not there by then comes in a later look."""

KEPT = 48
"""Quantities that are kept in memory, some 4 MB each in a long run of a large model."""


@dataclass(frozen=True, slots=True)
class Run:
    """A run in a line; one that cannot be read has an error that names the file."""

    path: Path
    name: str
    state: str = "broken"
    started: float | None = None
    steps: int = 0
    loss: float | None = None
    findings: int = 0
    error: str | None = None


def root() -> Path:
    """Return the folder that the dashboard was started on."""
    return Path(sys.argv[1]) if len(sys.argv) > 1 else Path("runs")


def runs(directory: Path, *, brief: bool = False) -> list[Run]:
    """Return all runs at or below `directory`, the one that began last first.

    Where they are wanted `brief`, nothing is read of their steps.
    """
    try:
        found = [_run(path, directory, brief) for path in find_runs(directory)]
    except FileError:
        return []
    return sorted(found, key=lambda run: (run.error is not None, -(run.started or 0.0), run.name))


def _run(path: Path, directory: Path, brief: bool) -> Run:
    name = str(path.relative_to(directory)) if path != directory else path.resolve().name
    try:
        recording = open_recording(path)
        head = recording.state, recording.facts.get("started")
        return Run(path, name, *head, *(() if brief else _line(path, stamp(path))))
    except (GradtraceError, OSError) as error:
        return Run(path, name, error=str(error))
    except Exception as error:  # a foreign file must not take the other runs away
        return Run(path, name, error=f"{path} cannot be read: {type(error).__name__}: {error}")


@lru_cache(maxsize=512)
def _line(path: Path, version: object) -> tuple[int, float | None, int]:
    losses = _scalars(path, version).get("loss")
    loss = float(losses[1][-1]) if losses and len(losses[1]) else None
    return len(_steps(path, version)), loss, len(open_recording(path).findings)


def stamp(path: Path) -> tuple[tuple[str, int, int], ...]:
    """Return what tells whether a run has changed: its files with sizes and times."""
    found = []
    for file in (*path.glob("rank*.sqlite*"), path / "run.json"):
        try:
            state = file.stat()
        except OSError:
            continue
        found.append((file.name, state.st_size, state.st_mtime_ns))
    return tuple(sorted(found))


def recorded(path: Path) -> Recording:
    """Return the recording in `path`."""
    return open_recording(path)


def steps(path: Path) -> npt.NDArray[np.int64]:
    """Return the numbers of the recorded steps."""
    return _steps(path, stamp(path))


@lru_cache(maxsize=64)
def _steps(path: Path, _: object) -> npt.NDArray[np.int64]:
    return open_recording(path).steps


def scalars(path: Path) -> dict[str, Scalar]:
    """Return steps and values of the loss and of all else that was told."""
    return _scalars(path, stamp(path))


@lru_cache(maxsize=64)
def _scalars(path: Path, _: object) -> dict[str, Scalar]:
    return open_recording(path).scalar_values()


def quantities(path: Path) -> tuple[str, ...]:
    """Return the quantities of a run."""
    return _quantities(path, stamp(path))


@lru_cache(maxsize=64)
def _quantities(path: Path, _: object) -> tuple[str, ...]:
    return open_recording(path).quantities


class Tracks:
    """The quantities that somebody looks at, read by one thread in the background."""

    def __init__(self) -> None:
        self._tracks: OrderedDict[tuple[Any, ...], _Kept] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: tuple[Any, ...], make: Callable[[], Track]) -> _Kept:
        """Return the track of this key, made if it is not kept."""
        with self._lock:
            if key not in self._tracks:
                self._tracks[key] = _Kept(make())
            self._tracks.move_to_end(key)
            while len(self._tracks) > KEPT:
                self._tracks.popitem(last=False)
            return self._tracks[key]


class _Kept:
    """A track that one thread at a time reads on."""

    def __init__(self, track: Track) -> None:
        self._track = track
        self._turn = threading.Lock()
        self._cells = track.cells()
        self._done = threading.Event()

    def look(self, end: int, patience: float) -> tuple[Cells, bool]:
        """Return what is known up to step `end`, and whether that is all."""
        if self._track.reaches(end) and not self._turn.locked():
            return self._cells, True
        self._done.clear()
        threading.Thread(target=self._read, args=(end,), daemon=True).start()
        complete = self._done.wait(patience)
        return self._cells, complete

    def _read(self, end: int) -> None:
        if not self._turn.acquire(blocking=False):
            return
        try:
            while self._track.advance(end):
                self._cells = self._track.cells()
            self._cells = self._track.cells()
        finally:
            self._turn.release()
            self._done.set()


TRACKS = Tracks()


class Ahead:
    """Reads what a reader of a page may ask for next, one quantity after another."""

    def __init__(self) -> None:
        self._busy: set[Path] = set()

    def read(self, path: Path, wanted: Sequence[str]) -> None:
        """Read quantities of a run in the background, unless that is being done."""
        if path not in self._busy:
            self._busy.add(path)
            threading.Thread(target=self._read, args=(path, tuple(wanted)), daemon=True).start()

    def _read(self, path: Path, wanted: Sequence[str]) -> None:
        try:
            for quantity in wanted:
                cells(path, quantity, patience=60.0)
        except (GradtraceError, OSError):
            return  # a page that asks for it says so
        finally:
            self._busy.discard(path)


AHEAD = Ahead()


def cells(
    path: Path,
    quantity: str,
    statistic: str = "norm",
    *,
    window: tuple[int, int] | None = None,
    patience: float = PATIENCE,
) -> tuple[Cells, bool]:
    """Return a quantity over the run, and whether all of it has been read already."""
    recording = open_recording(path)
    known = steps(path)
    key = (path, _identity(path), recording.nodes(quantity), quantity, statistic, window)
    kept = TRACKS.get(key, lambda: Track(recording, quantity, statistic, window))
    return kept.look(int(known[-1]) if len(known) else -1, patience)


def _identity(path: Path) -> tuple[Any, ...]:
    """Return what changes when steps that were read are replaced: the sessions of each file."""
    begun = tuple(each.writer for each in open_recording(path).sessions)
    return (*begun, *(file.stat().st_ino for file in rank_files(path).values()))


def graph(path: Path) -> gradtrace.Graph:
    """Return a saved graph."""
    return _graph(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=16)
def _graph(path: Path, _: int) -> gradtrace.Graph:
    return gradtrace.load(path)
