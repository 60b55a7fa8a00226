"""Runs are resumed, told apart, read while they are written, and recognized."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import gradtrace
from gradtrace.errors import FileError
from gradtrace.recording import sessions
from gradtrace.recording.folder import find_runs
from gradtrace.recording.reader import open_recording
from gradtrace.recording.sample import FIELDS, Series
from gradtrace.recording.store import Store
from gradtrace.recording.writer import Writer
from tests.recording.runs import recorded, step, training, wait_for
from tests.tapes import example


def test_a_run_that_ended_goes_on(tmp_path: Path) -> None:
    recorded(tmp_path / "run", training(130), facts={"config": {"lr": 0.1}})
    writer = Writer(tmp_path / "run", {"config": {"lr": 0.2}})
    assert (writer.directory, writer.next_step) == (tmp_path / "run", 130)
    for each in training(20, first=130):
        writer.put(each)
    writer.close()
    run = open_recording(tmp_path / "run")
    assert run.steps.tolist() == list(range(150))
    assert run.facts["config"] == {"lr": 0.1}
    assert [json.loads(each.facts)["config"]["lr"] for each in run.sessions] == [0.1, 0.2]


def test_a_session_from_an_earlier_step_replaces_what_came_after(tmp_path: Path) -> None:
    recorded(tmp_path, training(250, seed=1))
    run = recorded(tmp_path, training(120, seed=2, first=180))
    assert run.steps.tolist() == list(range(300))
    old, new = training(250, seed=1), training(120, seed=2, first=180)
    expected = [each.scalars["loss"] for each in (*old[:180], *new)]
    assert run.scalar("loss")[1].tolist() == expected
    assert len(run.matrix("gradient", since=170).steps) == 129


def test_two_runs_of_one_name_are_told_apart(tmp_path: Path) -> None:
    first, second = Writer(tmp_path / "run"), Writer(tmp_path / "run")
    third = Writer(tmp_path / "run")
    names = [each.directory.name for each in (first, second, third)]
    assert names == ["run", "run-2", "run-3"]
    for position, writer in enumerate((first, second, third)):
        for each in training(10, seed=position):
            writer.put(each)
        writer.close()
    ids = {open_recording(tmp_path / name).facts["id"] for name in names}
    assert len(ids) == 3
    losses = [open_recording(tmp_path / name).scalar("loss")[1][0] for name in names]
    assert losses == [training(1, seed=position)[0].scalars["loss"] for position in range(3)]


def test_a_run_is_read_while_it_is_written(tmp_path: Path) -> None:
    steps = training(450)
    writer = Writer(tmp_path)
    run = open_recording(tmp_path)
    assert run.state == "training"
    seen = np.empty((0, 6))
    last = -1
    for start in range(0, 450, 30):
        for each in steps[start : start + 30]:
            writer.put(each)
        assert wait_for(lambda end=start + 29: run.steps[-1:].tolist() == [end])
        new = run.matrix("gradient", since=last)
        assert new.steps.tolist() == list(range(last + 1, start + 30))
        seen, last = np.concatenate([seen, new.values]), int(new.steps[-1])
    writer.close()
    assert run.state == "finished"
    np.testing.assert_array_equal(seen, run.matrix("gradient").values)


def test_readers_on_many_threads_see_whole_moments(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    stop, wrong = threading.Event(), []

    def read() -> None:
        run = open_recording(tmp_path)
        while not stop.is_set():
            matrix = run.matrix("gradient") if "gradient" in run.quantities else None
            if matrix is not None and matrix.steps.tolist() != list(range(len(matrix.steps))):
                wrong.append(matrix.steps)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for each in readers:
        each.start()
    for made in training(1000):
        writer.put(made)
    assert wait_for(lambda: not writer._queue)
    stop.set()
    for each in readers:
        each.join()
    writer.close()
    assert not wrong
    assert len(open_recording(tmp_path).steps) == 1000


def test_steps_are_chosen_by_number(tmp_path: Path) -> None:
    run = recorded(tmp_path, training(330))
    whole = run.matrix("gradient")
    part = run.matrix("gradient", steps=slice(95, 215))
    assert part.steps.tolist() == list(range(95, 215))
    np.testing.assert_array_equal(part.values, whole.values[95:215])
    assert run.matrix("gradient", since=400).shape == (0, 6)
    losses = run.scalar("loss")[1]
    assert run.scalar("loss", since=299)[1].tolist() == losses[300:].tolist()
    assert run.scalar("loss", since=400)[1].tolist() == []


def test_a_closed_run_is_one_plain_file_that_needs_no_right_to_write(tmp_path: Path) -> None:
    run = recorded(tmp_path / "run", training(120))
    assert sorted(path.name for path in run.directory.iterdir()) == ["rank00000.sqlite", "run.json"]
    header = (run.directory / "rank00000.sqlite").read_bytes()[18:20]
    assert header == b"\x01\x01"  # a rollback journal, not a log


def test_a_silent_writer_on_another_machine_has_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = Writer(tmp_path)
    run = open_recording(tmp_path)
    monkeypatch.setattr(sessions.socket, "gethostname", lambda: "elsewhere")
    assert run.state == "training"
    monkeypatch.setattr(sessions, "SILENCE", -1.0)
    assert run.state == "stopped"
    monkeypatch.undo()
    writer.close(state="stopped")
    assert run.state == "stopped"


def test_a_writer_says_that_it_is_alive_between_long_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gradtrace.recording.writer.BEAT", 0.05)
    writer = Writer(tmp_path)
    first = open_recording(tmp_path).sessions[0].heartbeat
    assert wait_for(lambda: open_recording(tmp_path).sessions[0].heartbeat > first)
    writer.close()


def test_snapshots_are_graphs_beside_the_run(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    graph = example()
    writer.snapshot(500, graph)
    writer.snapshot(0, graph)
    writer.close()
    run = open_recording(tmp_path)
    assert list(run.snapshots) == [0, 500]
    assert str(gradtrace.load(run.snapshots[500])) == str(graph)


def test_what_is_no_run_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="there is no folder"):
        open_recording(tmp_path / "nowhere")
    with pytest.raises(FileError, match=r"is no run: it has no file rank00000\.sqlite"):
        open_recording(tmp_path)
    recorded(tmp_path / "digits", training(1))
    with pytest.raises(FileError, match=r"runs are in .*digits"):
        open_recording(tmp_path)


def test_a_newer_run_is_refused(tmp_path: Path) -> None:
    run = recorded(tmp_path, training(1))
    with sqlite3.connect(tmp_path / "rank00000.sqlite") as connection:
        connection.execute("PRAGMA user_version=99")
    connection.close()
    message = r"was recorded by a newer gradtrace \(format 99, this one knows up to 2\); upgrade"
    with pytest.raises(FileError, match=message):
        open_recording(tmp_path)
    with pytest.raises(FileError, match=message):
        Writer(tmp_path)
    facts = json.loads((tmp_path / "run.json").read_text()) | {"gradtrace": 99}
    (tmp_path / "run.json").write_text(json.dumps(facts))
    with pytest.raises(FileError, match="newer gradtrace"):
        _ = run.facts


def as_the_first_version_kept_it(path: Path) -> None:
    """Take from a run what the first version of the format had not."""
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM chunk WHERE field = 'nan'")
        for id, data in connection.execute("SELECT id, statistics FROM tail").fetchall():
            rows = np.frombuffer(data, dtype="<f4").reshape(-1, len(FIELDS))
            values = np.ascontiguousarray(rows[:, :8]).tobytes(), id
            connection.execute("UPDATE tail SET statistics = ? WHERE id = ?", values)
        connection.execute("PRAGMA user_version=1")
    connection.close()


@pytest.mark.parametrize("packed", [True, False])
def test_a_run_of_the_first_version_is_read_and_goes_on(tmp_path: Path, packed: bool) -> None:
    steps = training(14)
    steps[3].statistics[0, FIELDS.index("nonfinite")] = 2
    path = tmp_path / "rank00000.sqlite"
    store = Store(path, "writer", {})
    store.append(steps[:7])
    store.close("finished") if packed else store.abandon()
    quantity = steps[0].series[0].quantity
    expected = open_recording(tmp_path).matrix(quantity).values
    as_the_first_version_kept_it(path)
    run = open_recording(tmp_path)
    np.testing.assert_array_equal(run.matrix(quantity).values, expected)
    assert run.matrix(quantity, "nonfinite").values[:, 0].tolist() == [0, 0, 0, 2, 0, 0, 0]
    for statistic in ("nan", "infinite"):
        told = run.matrix(quantity, statistic).values[:, 0].tolist()
        assert told == pytest.approx([0, 0, 0, np.nan, 0, 0, 0], nan_ok=True)
    store = Store(path, "writer", {})
    store.append(steps[7:])
    store.close("finished")
    assert open_recording(tmp_path).matrix(quantity, "nan").values[7:, 0].tolist() == [0] * 7


@pytest.mark.parametrize("damage", ["cut", "noise", "chunk", "text"])
def test_a_damaged_run_is_said(tmp_path: Path, damage: str) -> None:
    run = recorded(tmp_path, training(250))
    path = tmp_path / "rank00000.sqlite"
    content = path.read_bytes()
    if damage == "cut":
        path.write_bytes(content[: len(content) // 3])
    elif damage == "noise":
        path.write_bytes(b"noise" * 1000)
    else:
        with sqlite3.connect(path) as connection:
            wrong = b"z4\x00\x01" if damage == "chunk" else "text"
            connection.execute("UPDATE chunk SET data = ?", (wrong,))
        connection.close()
    with pytest.raises(FileError, match="cannot be read, it may be damaged"):
        run.matrix("gradient")


@pytest.mark.parametrize("text", ["", "[1]", "no json", '{"gradtrace": "1"}'])
def test_damaged_facts_are_said(tmp_path: Path, text: str) -> None:
    run = recorded(tmp_path, training(1))
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(FileError, match=r"is damaged: it is no JSON|does not describe a run"):
        _ = run.facts


def test_facts_are_kept_as_json(tmp_path: Path) -> None:
    facts = {"command": "train.py", "config": {"lr": 0.1, "path": Path("x")}}
    run = recorded(tmp_path / "run", training(1), facts=facts)
    assert run.facts["config"] == {"lr": 0.1, "path": "x"}
    assert run.facts["name"] == run.name == "run"
    (tmp_path / "run" / "run.json").unlink()
    assert run.facts == {}


def test_runs_are_found_below_a_folder(tmp_path: Path) -> None:
    for name in ("b", "a/deep", "c"):
        recorded(tmp_path / name, training(1))
    (tmp_path / "empty").mkdir()
    found = find_runs(tmp_path)
    assert found == [tmp_path / "a/deep", tmp_path / "b", tmp_path / "c"]
    assert find_runs(tmp_path / "b") == [tmp_path / "b"]


def test_a_recording_shows_itself(tmp_path: Path) -> None:
    run = recorded(tmp_path / "digits", training(3))
    assert repr(run) == "<gradtrace.Recording 'digits': 3 steps, finished>"
    assert repr(run.matrix("value")) == "<gradtrace Matrix of value norm: 3 steps × 6 nodes>"


def test_reading_imports_neither_pandas_nor_torch(tmp_path: Path) -> None:
    recorded(tmp_path, training(3))
    program = """if True:
        import sys, gradtrace, gradtrace.recording
        run = gradtrace.open_recording(sys.argv[1])
        run.matrix("gradient"), run.scalar("loss"), run.findings, run.state
        guests = ("pandas", "pyarrow", "torch", "tensorboard")
        print([name for name in guests if name in sys.modules])
    """
    command = [sys.executable, "-c", program, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_layout_without_steps_in_common_with_another_quantity(tmp_path: Path) -> None:
    only = (Series("w", "update"),)
    both = (Series("w", "update"), Series("w", "value"))
    arrays = {each: np.ones(4) for each in both}
    run = recorded(tmp_path, [step(0, arrays, only), step(1, arrays, both)])
    ratio = run.matrix("update ratio").values[:, 0]
    assert np.isnan(ratio[0])
    assert ratio[1] == 1.0
