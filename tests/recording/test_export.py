"""A recording arrives whole in the files of other programs."""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from gradtrace.cli import app
from gradtrace.errors import FileError, GradtraceWarning, OptionError, RecordingError
from gradtrace.recording.export import export
from gradtrace.recording.reader import Recording, open_recording
from gradtrace.recording.sample import Step
from gradtrace.recording.sinks import Sink, find_sink
from tests.recording.runs import NETWORK, recorded, training


@pytest.fixture
def run(tmp_path: Path) -> Recording:
    steps = training(130)
    steps[5].statistics[1] = np.nan
    steps[6].statistics[1, 6] = 3
    steps[7].scalars = {"loss": float("nan")}
    return recorded(tmp_path / "digits", steps)


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *arguments: CliRunner().invoke(app, [str(each) for each in arguments])


def require_same(frame: pd.DataFrame, run: Recording) -> None:
    """Require that a table holds the run, NaN and what was not computed told apart."""
    for quantity in ("value", "gradient", "output"):
        for statistic in ("norm", "max", "nonfinite"):
            part = frame[frame.quantity == quantity]
            wide = part.pivot_table(
                index="step", columns="node", values=statistic, dropna=False, aggfunc="first"
            )
            expected = run.matrix(quantity, statistic)
            wide = wide.reindex(index=expected.steps, columns=list(expected.nodes))
            values = pd.DataFrame(wide).to_numpy(dtype=float)
            np.testing.assert_allclose(values, expected.values, rtol=1e-6)
    losses = frame[(frame.quantity == "scalar") & (frame.node == "loss")]
    np.testing.assert_array_equal(losses.value.to_numpy(dtype=float), run.scalar("loss")[1])
    assert len(frame) == 130 * len(NETWORK) - 1 + 130


def test_parquet_in_pandas(run: Recording, tmp_path: Path) -> None:
    place = export(run, str(tmp_path / "run.parquet"))
    require_same(pd.read_parquet(place), run)


def test_parquet_tells_nan_from_nothing(run: Recording, tmp_path: Path) -> None:
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(export(run, str(tmp_path / "run.parquet"))).to_pylist()
    gradient = [each for each in table if each["quantity"] == NETWORK[1].quantity]
    spoilt = [each for each in gradient if each["step"] == 6 and each["node"] == NETWORK[1].node]
    assert math.isnan(spoilt[0]["norm"])
    assert spoilt[0]["saturated"] is None
    assert not [each for each in gradient if each["step"] == 5 and each["node"] == NETWORK[1].node]


def test_parquet_in_duckdb(run: Recording, tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    place = export(run, str(tmp_path / "run.parquet"))
    query = f"SELECT node, max(norm) FROM '{place}' WHERE quantity = 'update' GROUP BY node"
    found = dict(duckdb.sql(query).fetchall())
    expected = run.matrix("update")
    assert found == pytest.approx(
        dict(zip(expected.nodes, expected.values.max(axis=0).tolist(), strict=True))
    )


def test_csv(run: Recording, tmp_path: Path) -> None:
    place = export(run, str(tmp_path / "run.csv"), to="csv")
    require_same(pd.read_csv(place), run)
    with Path(place).open(newline="") as file:
        rows = list(csv.DictReader(file))
    losses = [row["value"] for row in rows if row["node"] == "loss"]
    assert losses[7] == "NaN"
    assert rows[0]["norm"] == ""


def test_jsonl_is_strict_json(run: Recording, tmp_path: Path) -> None:
    place = export(run, str(tmp_path / "run.jsonl"), to="jsonl")
    lines = Path(place).read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line, parse_constant=pytest.fail) for line in lines]
    frame = pd.DataFrame(rows)
    frame["value"] = pd.to_numeric(frame["value"].replace("NaN", np.nan))
    require_same(frame.replace("NaN", np.nan), run)
    assert [row for row in rows if row["node"] == "loss"][7]["value"] == "NaN"


@pytest.mark.parametrize("to", ["parquet", "csv", "jsonl"])
def test_an_address_is_written_through_fsspec(run: Recording, to: str) -> None:
    place = export(run, f"memory://bucket/run.{to}", to=to)
    with fsspec.open(place) as file:
        read = {
            "parquet": pd.read_parquet,
            "csv": pd.read_csv,
            "jsonl": lambda f: pd.read_json(f, lines=True),
        }[to]
        assert len(read(file)) == 130 * len(NETWORK) - 1 + 130


def events_of(folder: Path) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder), size_guidance={"scalars": 0, "histograms": 0})
    found.Reload()
    return found


def test_tensorboard(run: Recording, tmp_path: Path) -> None:
    place = export(run, str(tmp_path / "board"), to="tensorboard")
    events = events_of(Path(place))
    norms = run.matrix("gradient", nodes=["fc1.weight"])
    found = events.Scalars("gradient norm/fc1.weight")
    assert [each.step for each in found] == [step for step in range(130) if step != 5]
    np.testing.assert_allclose([each.value for each in found][:5], norms.values[:5, 0], rtol=1e-6)
    assert math.isnan(found[5].value)
    assert [each.wall_time for each in events.Scalars("loss")] == run.times.tolist()
    ratio = [each.value for each in events.Scalars("update ratio/fc2.weight")]
    expected = run.matrix("update ratio", nodes=["fc2.weight"]).values[:, 0]
    np.testing.assert_allclose(ratio, expected, rtol=1e-5)


def test_tensorboard_live(tmp_path: Path) -> None:
    steps = training(25)
    steps[20].histograms = {1: np.arange(64, dtype=np.uint32)}
    recorded(tmp_path, steps, sinks=[find_sink("tensorboard")])
    assert len(list(tmp_path.glob("events.out.tfevents.*"))) == 1
    events = events_of(tmp_path)
    assert len(events.Scalars("loss")) == 25
    assert len(events.Tags()["scalars"]) == 1 + len(NETWORK) + 6
    [shown] = events.Histograms(f"{NETWORK[1].quantity}/{NETWORK[1].node}")
    assert shown.step == 20
    assert shown.histogram_value.bucket == list(range(64))


class Plain:
    name = "plain"

    def __init__(self, fail_at: int = -1) -> None:
        self.steps: list[int] = []
        self.calls: list[Any] = []
        self.fail_at = fail_at

    def open(self, target: str, facts: Any) -> None:
        self.calls.append((target, dict(facts)))

    def write(self, step: Step) -> None:
        if step.index == self.fail_at:
            raise ConnectionError("no network")
        self.steps.append(step.index)

    def close(self) -> None:
        self.calls.append("closed")


def test_a_sink_gets_every_step_in_order(tmp_path: Path) -> None:
    sink = Plain()
    assert isinstance(sink, Sink)
    recorded(tmp_path, training(200), sinks=[sink], facts={"a": 1})
    assert sink.steps == list(range(200))
    assert sink.calls == [(str(tmp_path), {"a": 1}), "closed"]


def test_a_sink_that_fails_is_left_out_of_the_rest(tmp_path: Path) -> None:
    broken, whole = Plain(fail_at=3), Plain()
    with pytest.warns(GradtraceWarning, match=r"sink 'plain' raised ConnectionError\('no network'"):
        run = recorded(tmp_path, training(200), sinks=[broken, whole])
    assert broken.steps == [0, 1, 2]
    assert whole.steps == list(range(200))
    assert len(run.steps) == 200


def test_replay_gives_back_what_was_put(run: Recording) -> None:
    again = list(run.replay(since=99))
    assert [step.index for step in again] == list(range(100, 130))
    for step, made in zip(again, training(130)[100:], strict=True):
        assert step.scalars == made.scalars
        assert set(step.series) == set(made.series)
        rows = [step.series.index(each) for each in made.series]
        np.testing.assert_allclose(step.statistics[rows], made.statistics, rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"to": "xlsx"}, OptionError, "to='xlsx' is not an option; use one of 'parquet', 'csv'"),
        ({"target": "/nowhere/x.csv", "to": "csv"}, FileError, "/nowhere/x.csv cannot be written"),
        ({"target": "nope://x.csv", "to": "csv"}, FileError, "nope://x.csv cannot be written"),
    ],
)
def test_what_cannot_be_exported_is_said(
    run: Recording, options: dict[str, str], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        export(run, **options)


@pytest.mark.parametrize(("ending", "begin"), [("csv", b"step,"), ("jsonl", b"{"), ("x", b"PAR1")])
def test_the_ending_says_the_format(
    run: Recording, tmp_path: Path, ending: str, begin: bytes
) -> None:
    place = export(run, str(tmp_path / f"digits.{ending}"))
    assert Path(place).read_bytes().startswith(begin)


def test_a_missing_package_is_named(run: Recording, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(
        RecordingError, match=r"needs pyarrow; pip install 'gradtrace\[recording\]'"
    ):
        export(run)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(RecordingError, match="a frame needs pandas"):
        run.frame("gradient")


def test_an_unknown_sink_is_said() -> None:
    with pytest.raises(RecordingError, match="no sink is named 'wandb'; use one of 'tensorboard'"):
        find_sink("wandb")


def test_runs_are_listed(command: Callable[..., Result], tmp_path: Path) -> None:
    recorded(tmp_path / "b", training(3))
    recorded(tmp_path / "a" / "deep", [Step(i, 1.0, {"loss": float("nan")}) for i in range(1234)])
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "rank00000.sqlite").write_bytes(b"noise" * 100)
    rows = json.loads(command("runs", tmp_path, "--json").output, parse_constant=pytest.fail)
    assert [(row["run"], row["state"], row["steps"]) for row in rows] == [
        ("a/deep", "finished", 1234),
        ("b", "finished", 3),
        ("c", "broken", None),
    ]
    assert (rows[0]["loss"], rows[0]["findings"]) == ("NaN", 1)
    assert rows[1]["loss"] == training(3)[2].scalars["loss"]
    assert "it may be damaged" in rows[2]["error"]
    table = command("runs", tmp_path).output
    assert all(part in table for part in ("a/deep", "1,234", "NaN", "broken"))


def test_no_runs_are_said(command: Callable[..., Result], tmp_path: Path) -> None:
    assert "no run is in" in command("runs", tmp_path).output
    assert json.loads(command("runs", tmp_path, "--json").output) == []
    missing = command("runs", tmp_path / "nowhere")
    assert missing.exit_code == 2
    assert "there is no folder" in missing.stderr


def test_the_command_exports(
    command: Callable[..., Result], run: Recording, tmp_path: Path
) -> None:
    assert command("export", run.directory).output.strip() == f"{run.directory}.parquet"
    place = tmp_path / "x.csv"
    done = command("export", run.directory, "--to", "csv", "-o", place, "--json")
    assert json.loads(done.output)["output"] == str(place)
    assert place.exists()
    failed = command("export", run.directory, "--to", "xlsx")
    assert failed.exit_code == 2
    assert "is not an option" in failed.stderr


def test_an_export_can_be_made_while_it_trains(tmp_path: Path) -> None:
    from gradtrace.recording.writer import Writer
    from tests.recording.runs import wait_for

    writer = Writer(tmp_path / "run")
    for each in training(150):
        writer.put(each)
    assert wait_for(lambda: not writer._queue)
    place = export(open_recording(tmp_path / "run"), to="csv")
    assert len(pd.read_csv(place)) == 150 * (len(NETWORK) + 1)
    writer.close()
