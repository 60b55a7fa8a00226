"""Choose how SQLite guards what it writes on a file system.

A write-ahead log lets others read while one writes, but it needs memory that they share: on a
network file system it fails, at the first write or only for a reader on another machine.
"""

from __future__ import annotations

import re
import secrets
import sqlite3
from contextlib import closing
from pathlib import Path

__all__ = ["choose_journal"]

NETWORK = frozenset(
    "9p afs beegfs ceph cifs fuse.ceph fuse.gcsfuse fuse.glusterfs fuse.juicefs "
    "fuse.rclone fuse.s3fs fuse.sshfs glusterfs gpfs lustre ncpfs nfs nfs4 panfs pvfs2 smb3 smbfs "
    "wekafs".split()
)
"""Types of file systems that several machines can share, as Linux names them."""

MOUNTS = Path("/proc/self/mountinfo")

ESCAPED = re.compile(r"\\([0-7]{3})")
"""A blank, among others, in the name of a mount point."""


def choose_journal(folder: Path) -> str:
    """Return `wal`, or `delete` where a write-ahead log cannot be trusted in `folder`."""
    if _file_system(folder) in NETWORK or not _wal_works(folder):
        return "delete"
    return "wal"


def _file_system(folder: Path) -> str | None:
    """Return the type of the file system of `folder`, where the system tells."""
    try:
        mounts = MOUNTS.read_text(errors="replace").splitlines()
    except OSError:
        return None
    place = folder.resolve()
    found = None
    longest = -1
    for line in mounts:
        head, _, tail = line.partition(" - ")
        point = Path(ESCAPED.sub(lambda code: chr(int(code[1], 8)), head.split()[4]))
        if place.is_relative_to(point) and len(point.parts) >= longest:
            found, longest = tail.split()[0], len(point.parts)
    return found


def _wal_works(folder: Path) -> bool:
    """Tell whether one connection reads what another has just written to a log in `folder`.

    SQLite may say `wal` and only fail at the first write, so one is made.
    """
    probe = folder / f".probe-{secrets.token_hex(8)}.sqlite"
    try:
        with closing(_connect(probe)) as writer, closing(_connect(probe)) as reader:
            if writer.execute("PRAGMA journal_mode=wal").fetchone() != ("wal",):
                return False
            writer.execute("CREATE TABLE probe AS SELECT 1 AS one")
            return bool(reader.execute("SELECT one FROM probe").fetchone() == (1,))
    except sqlite3.Error:
        return False
    finally:
        for path in (probe, *(Path(f"{probe}{end}") for end in ("-wal", "-shm", "-journal"))):
            path.unlink(missing_ok=True)


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=1.0, isolation_level=None)
