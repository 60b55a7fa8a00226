"""The files of a run: their names, the tables in them, their version."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["APPLICATION", "FACTS", "SCALAR", "SNAPSHOTS", "TABLES", "VERSION", "rank_files"]

VERSION = 2
"""Of the format; a run of a later one is refused. The first did not tell NaN from infinity."""

APPLICATION = 0x67726164
"""What SQLite files of ours say that they are: the letters `grad`."""

FACTS = "run.json"
SNAPSHOTS = "snapshots"

SCALAR = "scalar"
"""The quantity of chunks that hold a scalar, whose name is in the place of the field."""

TABLES = """
CREATE TABLE session (
    id INTEGER PRIMARY KEY, writer TEXT NOT NULL, pid INTEGER NOT NULL, host TEXT NOT NULL,
    started REAL NOT NULL, heartbeat REAL NOT NULL, state TEXT NOT NULL, lost INTEGER NOT NULL,
    facts TEXT NOT NULL);
CREATE TABLE layout (id INTEGER PRIMARY KEY, series TEXT NOT NULL UNIQUE);
CREATE TABLE tail (
    id INTEGER PRIMARY KEY, session INTEGER NOT NULL, layout INTEGER NOT NULL,
    step INTEGER NOT NULL, time REAL NOT NULL, scalars TEXT NOT NULL,
    statistics BLOB NOT NULL, histograms BLOB);
CREATE TABLE pack (
    id INTEGER PRIMARY KEY, session INTEGER NOT NULL, layout INTEGER NOT NULL,
    first INTEGER NOT NULL, last INTEGER NOT NULL, steps BLOB NOT NULL, times BLOB NOT NULL);
CREATE TABLE chunk (
    quantity TEXT NOT NULL, field TEXT NOT NULL, pack INTEGER NOT NULL, data BLOB NOT NULL);
CREATE UNIQUE INDEX chunk_of ON chunk (quantity, field, pack);
CREATE TABLE histogram (
    node TEXT NOT NULL, quantity TEXT NOT NULL, pack INTEGER NOT NULL,
    steps BLOB NOT NULL, data BLOB NOT NULL);
CREATE UNIQUE INDEX histogram_of ON histogram (node, quantity, pack);
CREATE TABLE finding (
    rule TEXT NOT NULL, node TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
    document TEXT NOT NULL, PRIMARY KEY (rule, node, first));
"""
"""A step is a row of `tail` first. Every hundred become a row of `pack` with one chunk for each
quantity and statistic, so that a (step × node) matrix is read in one scan."""

_RANK = re.compile(r"rank(\d{5})\.sqlite")


def rank_files(directory: Path) -> dict[int, Path]:
    """Return the SQLite file of each process of a run, by rank."""
    found = {
        int(match[1]): path
        for path in directory.glob("rank*.sqlite")
        if (match := _RANK.fullmatch(path.name))
    }
    return dict(sorted(found.items()))
