"""Pack steps, of which each was a row, into one chunk for each quantity and statistic."""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from gradtrace.recording.codec import pack, pack_counts, read_row, split_counts
from gradtrace.recording.sample import FIELDS, Series
from gradtrace.recording.schema import SCALAR

__all__ = ["Row", "columns_of", "pack_tail", "read_layouts", "read_tail"]


class Row(NamedTuple):
    """A step in the tail of a file."""

    id: int
    session: int
    layout: int
    step: int
    time: float
    scalars: str
    statistics: bytes
    histograms: bytes | None


def read_tail(
    connection: sqlite3.Connection, *, since: int = -1, limit: int = -1, histograms: bool = True
) -> list[Row]:
    """Return the first `limit` rows of the tail, all where that is negative, after a step."""
    last = "histograms" if histograms else "NULL"
    query = (
        f"SELECT id, session, layout, step, time, scalars, statistics, {last} FROM tail "
        "WHERE step > ? ORDER BY id LIMIT ?"
    )
    return [Row(*row) for row in connection.execute(query, (since, limit))]


def read_layouts(connection: sqlite3.Connection) -> dict[int, tuple[Series, ...]]:
    """Return the layouts of a file by their number."""
    rows = connection.execute("SELECT id, series FROM layout ORDER BY id").fetchall()
    return {id: tuple(Series(*each) for each in json.loads(series)) for id, series in rows}


def columns_of(series: Iterable[Series]) -> dict[str, list[int]]:
    """Return the positions of the series of each quantity.

    >>> columns_of([Series("a", "value"), Series("a", "gradient"), Series("b", "value")])
    {'value': [0, 2], 'gradient': [1]}
    """
    found: defaultdict[str, list[int]] = defaultdict(list)
    for position, each in enumerate(series):
        found[each.quantity].append(position)
    return dict(found)


def pack_tail(connection: sqlite3.Connection, limit: int) -> int:
    """Move the oldest rows of the tail, up to `limit`, into packs; return how many they were."""
    groups: defaultdict[tuple[int, int], list[Row]] = defaultdict(list)
    rows = read_tail(connection, limit=limit)
    for row in rows:
        groups[row.session, row.layout].append(row)
    layouts = read_layouts(connection) if rows else {}
    for (session, layout), group in groups.items():
        _pack(connection, session, layout, layouts[layout], group)
    if rows:
        connection.execute("DELETE FROM tail WHERE id <= ?", (rows[-1].id,))
    return len(rows)


def _pack(
    connection: sqlite3.Connection,
    session: int,
    layout: int,
    series: tuple[Series, ...],
    rows: Sequence[Row],
) -> None:
    steps = np.array([row.step for row in rows], dtype="<i8")
    times = np.array([row.time for row in rows], dtype="<f8")
    row = (session, layout, int(steps.min()), int(steps.max()), steps.tobytes(), times.tobytes())
    cursor = connection.execute(
        "INSERT INTO pack (session, layout, first, last, steps, times) VALUES (?,?,?,?,?,?)", row
    )
    number = cursor.lastrowid
    chunks = [*_statistics(series, rows), *_scalars(rows)]
    connection.executemany(
        "INSERT INTO chunk VALUES (?,?,?,?)",
        [(quantity, field, number, data) for quantity, field, data in chunks],
    )
    connection.executemany(
        "INSERT INTO histogram VALUES (?,?,?,?,?)",
        [(each.node, each.quantity, number, *data) for each, data in _histograms(series, rows)],
    )


def _statistics(series: tuple[Series, ...], rows: Sequence[Row]) -> list[tuple[str, str, bytes]]:
    """Return a chunk for each quantity and field of which anything was computed."""
    block = np.stack([read_row(row.statistics, len(series)) for row in rows])
    chunks = []
    for quantity, columns in columns_of(series).items():
        part = block[:, columns]
        for position, field in enumerate(FIELDS):
            numbers = np.ascontiguousarray(part[:, :, position])
            if not np.isnan(numbers).all():
                chunks.append((quantity, field, pack(numbers)))
    return chunks


def _scalars(rows: Sequence[Row]) -> list[tuple[str, str, bytes]]:
    """Return a chunk for each scalar: its values, with a second row that says where it is."""
    parsed: list[dict[str, float]] = [json.loads(row.scalars) for row in rows]
    names = dict.fromkeys(name for each in parsed for name in each)
    return [
        (
            SCALAR,
            name,
            pack(
                np.array([[p.get(name, np.nan) for p in parsed], [name in p for p in parsed]]),
                exact=True,
            ),
        )
        for name in names
    ]


def _histograms(
    series: tuple[Series, ...], rows: Sequence[Row]
) -> list[tuple[Series, tuple[bytes, bytes]]]:
    """Return, for each series with histograms, their steps and counts."""
    found: defaultdict[int, list[tuple[int, Any]]] = defaultdict(list)
    for row in rows:
        if row.histograms is not None:
            positions, counts = split_counts(row.histograms)
            for position, each in zip(positions.tolist(), counts, strict=True):
                found[position].append((row.step, each))
    return [
        (
            series[position],
            (
                np.array([step for step, _ in each], dtype="<i8").tobytes(),
                pack_counts(np.stack([counts for _, counts in each])),
            ),
        )
        for position, each in found.items()
    ]
