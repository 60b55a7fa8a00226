"""Handing over a step never waits, and what waits is bounded."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from gradtrace.errors import GradtraceWarning
from gradtrace.recording.reader import open_recording
from gradtrace.recording.writer import Writer
from tests.recording.runs import put, training, wait_for


def test_put_does_not_wait_for_a_disk_that_does(tmp_path: Path) -> None:
    steps = training(300)
    writer = Writer(tmp_path)
    with closing(sqlite3.connect(tmp_path / "rank00000.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        times = []
        for each in steps:
            began = time.perf_counter()
            writer.put(each)
            times.append(time.perf_counter() - began)
        assert not wait_for(lambda: not writer._queue, seconds=0.5)
        other.execute("ROLLBACK")
    assert np.median(times) < 1e-3
    assert sum(times) < 0.5
    writer.close()
    assert len(open_recording(tmp_path).steps) == 300


def test_what_waits_is_bounded_and_what_is_lost_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = training(300)
    size = steps[0].statistics.nbytes + 256
    monkeypatch.setattr("gradtrace.recording.writer.WAITING", 100 * size)
    monkeypatch.setattr("gradtrace.recording.writer.TICK", 0.5)
    writer = Writer(tmp_path)
    with pytest.warns(GradtraceWarning, match="steps come faster than the disk can keep them"):
        put(writer, steps)
    writer.close()
    run = open_recording(tmp_path)
    assert run.steps.tolist() == list(range(101))
    assert run.lost == 199


def test_a_session_knows_how_it_ended(tmp_path: Path) -> None:
    for state in ("finished", "stopped"):
        writer = Writer(tmp_path)
        writer.put(training(1, first=writer.next_step)[0])
        writer.close(state=state)
        assert open_recording(tmp_path).state == state
    assert [each.state for each in open_recording(tmp_path).sessions] == ["finished", "stopped"]


def test_a_long_run_is_read_in_one_scan(tmp_path: Path) -> None:
    from tests.benchmarks.recordings import layout, write

    write(tmp_path / "rank00000.sqlite", layout(200), 5_000)
    began = time.process_time()
    matrix = open_recording(tmp_path).matrix("gradient")
    assert matrix.shape == (5_000, 200)
    assert time.process_time() - began < 1.0  # a twentieth of what must take less than that
