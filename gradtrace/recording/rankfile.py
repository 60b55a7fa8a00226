"""Read the SQLite file of one process, also while it is written."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import numpy.typing as npt

from gradtrace.errors import FileError
from gradtrace.recording.codec import (
    is_single,
    only_number,
    read_row,
    split_counts,
    unpack,
    unpack_counts,
)
from gradtrace.recording.index import Index, Span, read_index
from gradtrace.recording.packing import Row, columns_of, read_layouts
from gradtrace.recording.sample import BINS, FIELDS, Series
from gradtrace.recording.schema import SCALAR, TABLES
from gradtrace.recording.sessions import Session, read_sessions
from gradtrace.recording.store import require_ours

__all__ = ["Counts", "Numbers", "RankFile", "Scalar"]

Floats = npt.NDArray[np.floating[Any]]

PATIENCE = 5.0
"""Seconds to wait for a writer, where the journal makes readers wait."""

Scalar = tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]
"""The steps at which a scalar was given, with its values."""

Counts = tuple[npt.NDArray[np.int64], npt.NDArray[np.uint32]]
"""The steps that have a histogram, with a row of counts for each."""


@dataclass(frozen=True)
class Numbers:
    """Statistics of one quantity: a row for each step, a column for each series."""

    steps: npt.NDArray[np.int64]
    series: tuple[Series, ...]
    fields: dict[str, Floats]
    """In single precision where all were kept so."""


class RankFile:
    """The file of one process. It is opened for each reading, so that any thread may read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def sessions(self) -> list[Session]:
        """Return who wrote the file, in order."""
        with self._reading() as connection:
            return read_sessions(connection)

    def series(self) -> tuple[Series, ...]:
        """Return every series of the file."""
        with self._reading() as connection:
            layouts = read_layouts(connection)
        return tuple(dict.fromkeys(each for layout in layouts.values() for each in layout))

    def findings(self) -> list[dict[str, Any]]:
        """Return what was found while the file was written."""
        with self._reading() as connection:
            rows = connection.execute("SELECT document FROM finding ORDER BY first, rowid")
            return [json.loads(document) for (document,) in rows]

    def steps(self, span: Span) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """Return the numbers of the steps, with the times at which they ended."""
        with self._reading() as connection:
            index = read_index(connection, span)
        return index.steps, index.times

    def numbers(self, quantity: str, fields: Sequence[str], span: Span) -> Numbers:
        """Return statistics of a quantity, NaN where they were not computed."""
        with self._reading() as connection:
            index = read_index(connection, span)
            series = tuple(
                dict.fromkeys(
                    each
                    for layout in index.layouts.values()
                    for each in layout
                    if each.quantity == quantity
                )
            )
            found = {field: _field(connection, index, series, field) for field in fields}
        return Numbers(
            index.steps, series, {field: each[index.order] for field, each in found.items()}
        )

    def scalars(self, span: Span) -> dict[str, Scalar]:
        """Return the steps and values of each scalar, in the order in which they first came."""
        with self._reading() as connection:
            index = read_index(connection, span)
            query = (
                "SELECT field, pack, data FROM chunk "
                "WHERE quantity = ? AND pack BETWEEN ? AND ? ORDER BY pack, rowid"
            )
            chunks = connection.execute(query, (SCALAR, *_packs(index))).fetchall()
            blank = np.full((2, len(index.all_steps)), 0.0)
            found: dict[str, npt.NDArray[np.float64]] = {}
            for name, pack, data in chunks:
                if part := index.packs.get(pack):
                    block = found.setdefault(name, blank.copy())
                    block[:, part.rows] = unpack(data, (2, part.steps))
            for row, step in enumerate(index.tail, index.tail_start):
                for name, value in json.loads(step.scalars).items():
                    found.setdefault(name, blank.copy())[:, row] = value, 1.0
        ordered = {name: block[:, index.order] for name, block in found.items()}
        return {
            name: (index.steps[block[1] > 0], block[0, block[1] > 0])
            for name, block in ordered.items()
        }

    def histograms(self, node: str, quantity: str, span: Span) -> Counts:
        """Return the histograms of one series."""
        with self._reading() as connection:
            index = read_index(connection, span, histograms=True)
            query = (
                "SELECT pack, steps, data FROM histogram WHERE node = ? AND quantity = ? "
                "ORDER BY pack"
            )
            found: dict[int, npt.NDArray[np.uint32]] = {}
            for pack, numbers, data in connection.execute(query, (node, quantity)):
                if pack in index.packs:
                    steps = np.frombuffer(numbers, dtype="<i8")
                    rows = unpack_counts(data, (len(steps), BINS))
                    found.update(zip(steps.tolist(), rows, strict=True))
            found.update(_counts_in_tail(index, node, quantity))
        steps = np.array([step for step in index.steps.tolist() if step in found], dtype=np.int64)
        return steps, np.array([found[step] for step in steps.tolist()]).reshape(-1, BINS)

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection that sees one moment of the file."""
        try:
            connection = _connect(self.path)
            try:
                connection.execute("BEGIN")
                if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                    require_ours(connection, self.path)
                    yield connection
                else:  # its writer has not come further yet
                    with closing(sqlite3.connect(":memory:")) as empty:
                        empty.executescript(TABLES)
                        yield empty
            finally:
                connection.close()
        except (sqlite3.Error, ValueError, LookupError) as error:
            if isinstance(error, FileError):
                raise
            raise FileError(f"{self.path} cannot be read, it may be damaged: {error}") from error


def _field(
    connection: sqlite3.Connection, index: Index, series: tuple[Series, ...], field: str
) -> Floats:
    """Return one statistic of all `series`, in the rows of `index`."""
    shape = (len(index.all_steps), len(series))
    if not series:
        return np.empty(shape)
    places = {number: _places(layout, series) for number, layout in index.layouts.items()}
    query = "SELECT pack, data FROM chunk WHERE quantity = ? AND field = ? AND pack BETWEEN ? AND ?"
    chunks = connection.execute(query, (series[0].quantity, field, *_packs(index))).fetchall()
    tail = [_row(index, step, places[step.layout][0], field) for step in index.tail]
    one = only_number(data for _, data in chunks) if len(chunks) == len(index.packs) else None
    if one is not None and len(places) == 1 and all((row == one).all() for row in tail):
        return np.broadcast_to(one, shape)
    single = all(is_single(data) for _, data in chunks) and all(r.itemsize == 4 for r in tail)
    found = np.full(shape, np.nan, dtype=np.float32 if single else np.float64)
    for pack, data in chunks:
        if part := index.packs.get(pack):
            rows, columns = places[part.layout]
            found[part.rows, columns] = unpack(data, (part.steps, len(rows)))
    for number, (step, row) in enumerate(zip(index.tail, tail, strict=True), index.tail_start):
        found[number, places[step.layout][1]] = row
    return found


def _packs(index: Index) -> tuple[int, int]:
    """Return the first and the last number of the packs."""
    return min(index.packs, default=0), max(index.packs, default=-1)


def _row(index: Index, step: Row, columns: list[int], field: str) -> npt.NDArray[Any]:
    """Return one statistic of a step that is not packed yet."""
    numbers = read_row(step.statistics, len(index.layouts[step.layout]))
    return numbers[columns, FIELDS.index(field)]


def _places(
    layout: tuple[Series, ...], series: tuple[Series, ...]
) -> tuple[list[int], list[int] | slice]:
    """Return where the quantity of `series` is in a layout, and in which columns it belongs."""
    rows = columns_of(layout).get(series[0].quantity, [])
    if tuple(layout[row] for row in rows) == series:
        return rows, slice(None)
    column = {each: position for position, each in enumerate(series)}
    return rows, [column[layout[row]] for row in rows]


def _counts_in_tail(
    index: Index, node: str, quantity: str
) -> Iterator[tuple[int, npt.NDArray[np.uint32]]]:
    for step in index.tail:
        if step.histograms is not None:
            positions, counts = split_counts(step.histograms)
            for position, row in zip(positions.tolist(), counts, strict=True):
                each = index.layouts[step.layout][position]
                if (each.node, each.quantity) == (node, quantity):
                    yield step.step, row


def _connect(path: Path) -> sqlite3.Connection:
    """Open a file to read it; one on a medium that nobody can write is read as it is."""
    address = f"file:{quote(str(path.resolve()))}?mode=ro"
    connection = sqlite3.connect(
        address, uri=True, timeout=PATIENCE, isolation_level=None, check_same_thread=False
    )
    try:
        connection.execute("SELECT count(*) FROM sqlite_master")
    except sqlite3.OperationalError:
        connection.close()
        if Path(f"{path}-wal").exists():
            raise
        return sqlite3.connect(f"{address}&immutable=1", uri=True, isolation_level=None)
    return connection
