"""Who writes a run, with whether he is still alive."""

from __future__ import annotations

import os
import socket
import sqlite3
import time
from dataclasses import dataclass
from typing import Any

__all__ = ["BEAT", "Session", "read_sessions"]

BEAT = 2.0
"""Seconds after which a writer says again that it is alive."""

SILENCE = 30.0
"""Seconds without such a sign after which it is taken for dead."""

COLUMNS = "id, writer, pid, host, started, heartbeat, state, lost, facts"


@dataclass(frozen=True, slots=True)
class Session:
    """One time that a process wrote a run, from start to end."""

    id: int
    writer: str
    pid: int
    host: str
    started: float
    heartbeat: float
    state: str
    """`training`, `finished` or `stopped`, as the writer said last."""
    lost: int
    """Number of steps that could not be kept."""
    facts: str

    @property
    def alive(self) -> bool:
        """Whether the writer still writes. On its own machine its death is seen at once."""
        if self.state != "training" or time.time() - self.heartbeat > SILENCE:
            return False
        return self.host != socket.gethostname() or _runs(self.pid)

    @property
    def now(self) -> str:
        """`training`, `finished` or `stopped`: a writer that died has stopped."""
        return "stopped" if self.state == "training" and not self.alive else self.state


def read_sessions(connection: sqlite3.Connection) -> list[Session]:
    """Return the sessions in a file, in order."""
    rows: list[Any] = connection.execute(f"SELECT {COLUMNS} FROM session ORDER BY id").fetchall()
    return [Session(*row) for row in rows]


def _runs(pid: int) -> bool:
    if os.name != "posix":
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True
