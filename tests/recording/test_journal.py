"""SQLite's write-ahead log is used where it can be trusted, a rollback journal elsewhere."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from gradtrace.recording import journal
from gradtrace.recording.journal import choose_journal
from gradtrace.recording.reader import open_recording
from gradtrace.recording.writer import Writer
from tests.recording.runs import training, wait_for


def test_a_log_is_used_where_it_works(tmp_path: Path) -> None:
    assert choose_journal(tmp_path) == "wal"
    assert not list(tmp_path.iterdir())
    writer = Writer(tmp_path / "run")
    assert (tmp_path / "run" / "rank00000.sqlite-wal").exists()
    writer.close()


def test_a_network_file_system_gets_a_rollback_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = tmp_path / "mountinfo"
    place = str(tmp_path / "on net").replace(" ", "\\040")
    mounts.write_text(
        "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
        f"36 22 0:52 / {place} rw,relatime - nfs4 server:/home rw\n"
    )
    monkeypatch.setattr(journal, "MOUNTS", mounts)
    (tmp_path / "on net").mkdir()
    assert choose_journal(tmp_path) == "wal"
    assert choose_journal(tmp_path / "on net") == "delete"
    writer = Writer(tmp_path / "on net" / "run")
    for each in training(120):
        writer.put(each)
    assert wait_for(lambda: not writer._queue)
    run = open_recording(writer.directory)
    assert not (writer.directory / "rank00000.sqlite-wal").exists()
    assert len(run.steps) == 120
    writer.close()
    assert run.state == "finished"


@pytest.mark.parametrize("failure", ["says no", "fails at the first write", "cannot be opened"])
def test_a_log_that_does_not_work_is_found_by_a_real_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: str
) -> None:
    class Broken(sqlite3.Connection):
        def execute(self, statement: str, *values: Any) -> Any:
            if failure == "says no" and "journal_mode" in statement:
                return super().execute("SELECT 'delete'")
            if failure.startswith("fails") and "CREATE" in statement:
                raise sqlite3.OperationalError("locking protocol")
            return super().execute(statement, *values)

    def connect(path: Path) -> sqlite3.Connection:
        if failure.startswith("cannot"):
            raise sqlite3.OperationalError("unable to open database file")
        return sqlite3.connect(path, isolation_level=None, factory=Broken)

    monkeypatch.setattr(journal, "_connect", connect)
    assert choose_journal(tmp_path) == "delete"
    assert not list(tmp_path.iterdir())
