"""Keep the steps of one process in its SQLite file."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple
from pathlib import Path
from typing import Any

from gradtrace.errors import FileError
from gradtrace.recording.codec import join_counts, kept
from gradtrace.recording.journal import choose_journal
from gradtrace.recording.packing import pack_tail
from gradtrace.recording.sample import Series, Step
from gradtrace.recording.schema import APPLICATION, TABLES, VERSION
from gradtrace.recording.sessions import read_sessions

__all__ = ["PACKED", "Store", "TakenError"]

PACKED = 100
"""Steps that are packed at a time."""

PATIENCE = 5.0
"""Seconds to wait for a reader, where the journal makes writers wait."""


class TakenError(Exception):
    """Another writer is at work in the file."""


class Store:
    """The open file of one process, which is not used again once something in it has raised."""

    def __init__(self, path: Path, writer: str, facts: Mapping[str, Any]) -> None:
        """Open or make the file `path`, and begin a session of `writer` in it.

        Raises `TakenError` where another writer is alive in it, `FileError` where the file is
        not ours, `sqlite3.Error` or `OSError` where nothing can be written.
        """
        journal = choose_journal(path.parent)
        self._path = path
        self._connection = _connect(path)
        try:
            self._connection.execute(f"PRAGMA journal_mode={journal}")
            self._connection.execute("PRAGMA synchronous=NORMAL")
            with self._transaction():
                self._prepare()
                self._require_free(writer)
                self._session = self._begin(writer, facts)
            self._file = path.stat().st_ino
        except BaseException:
            self._connection.close()
            raise
        self._layout: tuple[tuple[Series, ...] | None, int] = (None, 0)
        self._waiting = self._count("SELECT count(*) FROM tail")

    def _prepare(self) -> None:
        """Make the tables of a new file; raise unless an old one is ours, and not too new."""
        tables = self._count("SELECT count(*) FROM sqlite_master")
        if not tables:
            for statement in TABLES.split(";"):
                self._connection.execute(statement)
            self._connection.execute(f"PRAGMA application_id={APPLICATION}")
        else:
            require_ours(self._connection, self._path)
        self._connection.execute(f"PRAGMA user_version={VERSION}")

    def _require_free(self, writer: str) -> None:
        for session in read_sessions(self._connection):
            if session.alive and session.writer != writer:
                raise TakenError(f"process {session.pid} on {session.host} writes {self._path}")

    def _begin(self, writer: str, facts: Mapping[str, Any]) -> int:
        now = time.time()
        row = (
            writer,
            os.getpid(),
            socket.gethostname(),
            now,
            now,
            "training",
            0,
            json.dumps(facts, default=str),
        )
        cursor = self._connection.execute(
            "INSERT INTO session (writer, pid, host, started, heartbeat, state, lost, facts) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            row,
        )
        return int(cursor.lastrowid or 0)

    @property
    def next_step(self) -> int:
        """The number after that of the last step, or 0."""
        steps = "SELECT max(step) AS step FROM tail UNION ALL SELECT max(last) FROM pack"
        return self._count(f"SELECT coalesce(max(step), -1) + 1 FROM ({steps})")

    @property
    def in_place(self) -> bool:
        """Whether the file is still where it was opened: what was deleted takes what is written."""
        try:
            return self._path.stat().st_ino == self._file
        except OSError:
            return False

    def append(self, steps: Sequence[Step]) -> None:
        """Keep `steps`, all or none, and pack what has become a hundred."""
        with self._transaction():
            self._connection.executemany(
                "INSERT INTO tail (session, layout, step, time, scalars, statistics, histograms) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                [self._row(step) for step in steps],
            )
            waiting = self._waiting + len(steps)
            while waiting >= PACKED:
                waiting -= pack_tail(self._connection, PACKED)
        self._waiting = waiting

    def _row(self, step: Step) -> tuple[Any, ...]:
        if self._layout[0] is not step.series:
            self._layout = (step.series, self._number_of(step.series))
        counts = join_counts(step.histograms) if step.histograms else None
        scalars = json.dumps({name: float(value) for name, value in step.scalars.items()})
        numbers = kept(step.statistics).tobytes()
        return self._session, self._layout[1], step.index, step.time, scalars, numbers, counts

    def _number_of(self, series: tuple[Series, ...]) -> int:
        text = json.dumps([astuple(each) for each in series])
        self._connection.execute("INSERT OR IGNORE INTO layout (series) VALUES (?)", (text,))
        return self._count("SELECT id FROM layout WHERE series = ?", text)

    def report(self, documents: Iterable[Mapping[str, Any]]) -> None:
        """Keep findings, or what has changed of them."""
        rows = [
            (each["rule"], each["node"], each["first_step"], each["last_step"], json.dumps(each))
            for each in documents
        ]
        with self._transaction():
            self._connection.executemany("INSERT OR REPLACE INTO finding VALUES (?,?,?,?,?)", rows)

    def beat(self, lost: int = 0) -> None:
        """Say that the writer is alive."""
        with self._transaction():
            self._connection.execute(
                "UPDATE session SET heartbeat = ?, lost = ? WHERE id = ?",
                (time.time(), lost, self._session),
            )

    def close(self, state: str, lost: int = 0) -> None:
        """Pack what is left, say how the session ended, and leave one plain file."""
        try:
            with self._transaction():
                pack_tail(self._connection, PACKED)
                self._connection.execute(
                    "UPDATE session SET heartbeat = ?, lost = ?, state = ? WHERE id = ?",
                    (time.time(), lost, state, self._session),
                )
            self._leave_one_file()
        finally:
            self._connection.close()

    def abandon(self) -> None:
        """Close the file as it is."""
        self._connection.close()

    def _leave_one_file(self) -> None:
        """End the write-ahead log, without which the file can be read where nothing is writable."""
        self._connection.execute("PRAGMA busy_timeout=0")
        try:
            self._connection.execute("PRAGMA journal_mode=delete")
        except sqlite3.OperationalError:  # somebody reads it; the next to close it will do
            return

    def _count(self, query: str, *values: Any) -> int:
        return int(self._connection.execute(query, values).fetchone()[0])

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise


def require_ours(connection: sqlite3.Connection, path: Path) -> None:
    """Raise `FileError` unless the file is a recording that this version can read."""
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if application != APPLICATION:
        raise FileError(f"{path} is a SQLite file, but none that gradtrace.record() wrote")
    if version > VERSION:
        raise FileError(
            f"{path} was recorded by a newer gradtrace (format {version}, this one knows up to "
            f"{VERSION}); upgrade with: pip install --upgrade gradtrace"
        )


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=PATIENCE, isolation_level=None, check_same_thread=False)
