"""What happens to the process or the disk harms neither the run nor the training."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradtrace.errors import FileError, GradtraceWarning
from gradtrace.recording.reader import Recording, open_recording
from gradtrace.recording.sample import Step
from gradtrace.recording.writer import Writer
from tests.recording.runs import put, recorded, training, wait_for

ROOT = Path(__file__).parents[2]


def start(*arguments: object, **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.recording.trainer", *map(str, arguments)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def acknowledged(output: str) -> dict[int, float]:
    """Return when `put` returned for each step; the kill may have cut the last line."""
    lines = output.rpartition("\n")[0].splitlines()
    return {int(step): float(at) for step, at in (line.split() for line in lines)}


def killed(
    folder: Path, moments: list[float], pause: float
) -> list[tuple[dict[int, float], float]]:
    """Run trainers at once, kill each at its moment; return what they acknowledged, and when."""
    children = [start(folder / str(n), 10**6, pause) for n in range(len(moments))]
    for child in children:
        assert child.stdout is not None
        child.stdout.readline()
    began = time.time()
    ends = dict.fromkeys(range(len(children)), 0.0)
    for number in sorted(ends, key=moments.__getitem__):
        time.sleep(max(0.0, began + moments[number] - time.time()))
        ends[number] = time.time()
        children[number].send_signal(signal.SIGKILL)
    outputs = [rest_of(child) for child in children]
    return [(acknowledged(output), ends[n]) for n, output in enumerate(outputs)]


def rest_of(child: subprocess.Popen[str]) -> str:
    """Return what `child` still says; `communicate` would miss what was read ahead for a line."""
    assert child.stdout is not None
    output = child.stdout.read()
    child.communicate()
    return output


def require_whole(run: Recording, steps: dict[int, float], killed_at: float) -> None:
    """Require a readable run without a gap, with every step put over 2 s before the kill."""
    assert run.state == "stopped"
    kept = run.steps.tolist()
    assert kept == list(range(len(kept)))
    due = [step for step, at in steps.items() if at < killed_at - 2.0]
    assert len(kept) > max(due, default=-1)
    if not kept:
        return
    values = run.matrix("gradient").values
    assert values.shape == (len(kept), 6)
    made = training(100)
    gradients = [position for position, s in enumerate(run.series) if s.quantity == "gradient"]
    expected = [np.sqrt(made[step % 100].statistics[gradients, 2]) for step in kept]
    np.testing.assert_allclose(values, np.reshape(expected, values.shape), rtol=1e-6)
    with sqlite3.connect(run.directory / "rank00000.sqlite") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


def check_kills(tmp_path: Path, kills: int, seed: int) -> None:
    draw = random.Random(seed)
    moments = [draw.uniform(0.0, 0.5) for _ in range(kills // 2)]
    moments += [draw.uniform(2.1, 3.5) for _ in range(kills - kills // 2)]
    late = 0
    for number, (steps, at) in enumerate(killed(tmp_path, moments, 0.001)):
        require_whole(open_recording(tmp_path / str(number)), steps, at)
        late += sum(each < at - 2.0 for each in steps.values())
    assert late > 100


def test_kill_9_loses_no_step_older_than_two_seconds(tmp_path: Path) -> None:
    check_kills(tmp_path, 4, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_kill_9_at_many_moments(tmp_path: Path, seed: int) -> None:
    check_kills(tmp_path, 6, seed + 100)


def test_a_killed_run_goes_on_where_it_was(tmp_path: Path) -> None:
    [(_, _)] = killed(tmp_path, [0.4], 0.001)
    before = len(open_recording(tmp_path / "0").steps)
    writer = Writer(tmp_path / "0")
    assert writer.directory == tmp_path / "0"
    assert writer.next_step == before
    for each in training(120, first=before):
        writer.put(each)
    writer.close()
    run = open_recording(tmp_path / "0")
    assert run.steps.tolist() == list(range(before + 120))
    assert run.state == "finished"


def test_a_full_disk_stops_recording_not_training(tmp_path: Path) -> None:
    child = start(tmp_path / "run", 2500, 0.002, 300_000)
    assert child.stdin is not None
    assert child.stdout is not None
    for line in child.stdout:
        if line.startswith("1500 "):
            break
    full = open_recording(tmp_path / "run").steps
    child.stdin.write("lift\n")
    output, errors = child.communicate()
    assert child.returncode == 0
    assert acknowledged(output)[2499] > 0
    assert errors.count("warning:") == 1
    assert "nothing can be written to" in errors
    assert "training goes on, and recording as soon as it can" in errors
    run = open_recording(tmp_path / "run")
    assert len(full) < 1400
    assert run.steps.tolist() == list(range(2500))
    assert run.lost == 0
    assert run.state == "finished"


def test_a_folder_that_goes_is_made_again(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "run", {"note": "kept"})
    put(writer, training(50))
    assert wait_for(lambda: not writer._queue)
    shutil.rmtree(tmp_path / "run")
    put(writer, training(50, first=50))
    with pytest.warns(GradtraceWarning, match=r"files of the run in .* are gone; training goes on"):
        writer.close()
    run = open_recording(tmp_path / "run")
    assert run.steps.tolist()[-1] == 99
    assert run.facts["note"] == "kept"


def test_a_folder_that_cannot_be_made_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.warns(GradtraceWarning, match="nothing can be written to"):
        writer = Writer(tmp_path / "file" / "run")
    put(writer, training(30))
    (tmp_path / "file").unlink()
    assert wait_for(lambda: not writer._queue)
    writer.close()
    assert open_recording(tmp_path / "file" / "run").steps.tolist() == list(range(30))


def test_steps_that_could_never_be_kept_are_counted(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.warns(GradtraceWarning, match="nothing can be written to"):
        writer = Writer(tmp_path / "file" / "run")
    put(writer, training(30))
    with pytest.warns(GradtraceWarning, match="the last 30 steps of .* could not be kept"):
        writer.close()


@pytest.fixture
def open_path() -> Iterator[Path]:
    """Yield a folder that every user can enter.

    Those of `tmp_path` are closed again by each other session of pytest that begins meanwhile.
    """
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs the right to become another user")
def test_a_folder_without_the_right_to_write(open_path: Path) -> None:
    closed = open_path / "closed"
    closed.mkdir(mode=0o555)
    child = start(closed / "run", 300, 0.01, "nobody")
    assert child.stdout is not None
    for line in child.stdout:
        if line.startswith("50 "):
            break
    closed.chmod(0o777)
    _, errors = child.communicate()
    if "No module named" in errors:
        pytest.skip("the other user cannot read this installation")
    assert child.returncode == 0, errors
    assert errors.count("Permission denied") == 1, errors
    assert open_recording(closed / "run").steps.tolist() == list(range(300))


def test_an_empty_run_of_another_program_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "rank00000.sqlite") as connection:
        connection.execute("CREATE TABLE mine (x)")
    connection.close()
    with pytest.raises(FileError, match=r"is a SQLite file, but none that gradtrace\.record"):
        Writer(tmp_path)
    with pytest.raises(FileError, match="is a SQLite file, but none"):
        open_recording(tmp_path)


def test_a_strange_run_json_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"mine": 1}')
    with pytest.raises(FileError, match=r"does not describe a run: gradtrace\.record\(\) did not"):
        Writer(tmp_path)
    assert (tmp_path / "run.json").read_text() == '{"mine": 1}'


def test_a_malformed_step_is_left_out(tmp_path: Path) -> None:
    good = training(3)
    bad = Step(1, 0.0, {"loss": "high"}, good[0].series, good[0].statistics)  # type: ignore[dict-item]
    writer = Writer(tmp_path)
    writer.put(bad)
    assert wait_for(lambda: not writer._queue)
    with pytest.warns(GradtraceWarning, match="not as a recording has them were left out"):
        writer.put(good[2])
    writer.close()
    assert open_recording(tmp_path).steps.tolist() == [2]
    assert open_recording(tmp_path).lost == 1


def test_a_warning_that_is_an_error_does_not_reach_the_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("in the way")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        writer = Writer(tmp_path / "file" / "run")
        writer.put(training(1)[0])
        writer.close()
    assert "nothing can be written to" in capsys.readouterr().err


def test_put_after_close_is_a_warning(tmp_path: Path) -> None:
    run = recorded(tmp_path, training(2))
    writer = Writer(run.directory)
    writer.close()
    writer.close()
    with pytest.warns(GradtraceWarning, match="came after the recording was closed"):
        writer.put(training(1)[0])


def test_a_fork_writes_nothing(tmp_path: Path) -> None:
    program = """if True:
        import os, sys, warnings
        warnings.simplefilter("ignore", DeprecationWarning)
        from gradtrace.recording.writer import Writer
        from tests.recording.runs import training
        writer = Writer(sys.argv[1])
        child = os.fork()
        for each in training(5, first=0 if child else 100):
            writer.put(each)
        if child:
            os.waitpid(child, 0)
        writer.close()
    """
    command = [sys.executable, "-c", program, tmp_path / "run"]
    subprocess.run(command, cwd=ROOT, check=True, timeout=60)
    run = open_recording(tmp_path / "run")
    assert run.steps.tolist() == list(range(5))
    assert run.state == "finished"


def test_a_run_that_is_never_closed_is_whole(tmp_path: Path) -> None:
    program = """if True:
        import sys
        from gradtrace.recording.writer import Writer
        from tests.recording.runs import training
        writer = Writer(sys.argv[1])
        for each in training(5):
            writer.put(each)
    """
    command = [sys.executable, "-c", program, tmp_path / "run"]
    subprocess.run(command, cwd=ROOT, check=True, timeout=60)
    assert open_recording(tmp_path / "run").steps.tolist() == list(range(5))
