"""What a recording is asked for, and what it says where it cannot do that."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import gradtrace
from gradtrace.errors import (
    BackendError,
    FileError,
    OptionError,
    RecordingError,
    TraceError,
)
from tests.recording.runs import wait_for
from tests.torch.recording.trainings import mlp, train


def test_every_so_many_steps(tmp_path: Path) -> None:
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with gradtrace.record(model, tmp_path / "run", every=3) as recorder:
        for step in range(8):
            train(model, optimizer, 1)
            recorder.step(loss=float(step))
    run = gradtrace.open_recording(tmp_path / "run")
    assert run.steps.tolist() == [0, 3, 6]
    assert run.scalar("loss")[1].tolist() == [0.0, 3.0, 6.0]
    assert run.matrix("update", "norm").values.min() > 0


def test_names_choose_what_is_recorded(tmp_path: Path) -> None:
    model = nn.Sequential(mlp(), nn.Linear(2, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with gradtrace.record(model, tmp_path / "run", include="0", exclude=["*.bias", "0.1"]):
        train(model, optimizer, 2)
    run = gradtrace.open_recording(tmp_path / "run")
    assert run.nodes("gradient") == ("0.0.weight", "0.2.weight")
    assert run.nodes("output") == ("0.0", "0.2", "0")


def test_a_run_that_ended_goes_on(tmp_path: Path) -> None:
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(2):
        with gradtrace.record(model, tmp_path / "run") as recorder:
            for _ in range(3):
                train(model, optimizer, 1)
                recorder.step()
    assert gradtrace.open_recording(tmp_path / "run").steps.tolist() == list(range(6))


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    model = mlp()
    with pytest.raises(BackendError, match="no backend recognizes a model of type 'dict'"):
        gradtrace.record({}, tmp_path / "run")
    with pytest.raises(
        OptionError, match="every=0 is not a number of steps; use an integer from 1"
    ):
        gradtrace.record(model, tmp_path / "run", every=0)
    with pytest.raises(OptionError, match=r"histograms_every=True is not .* or None"):
        gradtrace.record(model, tmp_path / "run", histograms_every=True)
    with pytest.raises(OptionError, match=r"include=\[3\] holds 3, which is no name"):
        gradtrace.record(model, tmp_path / "run", include=[3])
    other = torch.optim.SGD(mlp().parameters(), lr=0.1)
    with pytest.raises(
        OptionError, match="SGD steps none of the 4 parameters of Sequential; make it"
    ):
        gradtrace.record(model, tmp_path / "run", optimizer=other).start()
    with pytest.raises(OptionError, match="optimizer=3 is no optimizer of torch"):
        gradtrace.record(model, tmp_path / "run", optimizer=3)
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="file is a file; a run is kept in a folder"):
        gradtrace.record(model, tmp_path / "file").start()
    recorder = gradtrace.record(model, tmp_path / "run")
    with pytest.raises(TraceError, match=r"called before start\(\); call it in the block"):
        recorder.step()
    with recorder:
        with pytest.raises(
            OptionError, match=r"loss has shape \(3,\); recorder.step\(\) takes numbers"
        ):
            recorder.step(loss=torch.ones(3))
        with pytest.raises(OptionError, match="note='slow' is no number"):
            recorder.step(note="slow")
    with pytest.raises(TraceError, match=r"called after close\(\)"):
        recorder.step()
    with pytest.raises(TraceError, match="has begun before; make another"):
        recorder.start()


def test_compiled_models_stay_compiled(tmp_path: Path) -> None:
    counted: list[Any] = []

    def backend(graph: Any, inputs: Any) -> Any:
        counted.append(graph)
        return graph.forward

    model = torch.compile(mlp(), backend=backend)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    train(model, optimizer, 1)
    before = len(counted)
    with gradtrace.record(model, tmp_path / "run"):
        train(model, optimizer, 3)
    assert len(counted) == before
    torch._dynamo.reset()
    fresh = torch.compile(mlp(), backend=backend)
    optimizer = torch.optim.SGD(fresh.parameters(), lr=0.1)
    with gradtrace.record(fresh, tmp_path / "fresh"):
        train(fresh, optimizer, 3)
    assert len(counted) == 2 * before
    for name in ("run", "fresh"):
        run = gradtrace.open_recording(tmp_path / name)
        assert run.nodes("gradient") == ("0.weight", "0.bias", "2.weight", "2.bias")
        assert run.matrix("gradient", "norm").values.min() > 0
        assert run.matrix("upstream gradient", "norm").values.shape == (3, 1)


def test_findings_and_sinks_are_handed_on(tmp_path: Path) -> None:
    class Sink:
        def __init__(self) -> None:
            self.steps: list[int] = []

        def open(self, directory: Path, facts: Any) -> None:
            assert facts["config"] == {"lr": 0.1}

        def write(self, step: Any) -> None:
            self.steps.append(step.index)

        def close(self) -> None:
            pass

    sink = Sink()
    with gradtrace.record(mlp(), tmp_path / "run", sinks=[sink], config={"lr": 0.1}) as recorder:
        recorder.step()
        recorder.step()
    assert sink.steps == [0, 1]
    facts = gradtrace.open_recording(tmp_path / "run").facts
    assert facts["parameters"] == 58
    assert facts["versions"].keys() >= {"torch", "python", "gradtrace"}
    assert facts["device"] == "cpu"


@pytest.mark.parametrize("quantity", ["gradient", "upstream gradient"])
def test_the_last_step_is_there_at_once(tmp_path: Path, quantity: str) -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 1))
    with gradtrace.record(model, tmp_path / "run") as recorder:
        with pytest.raises(TraceError, match=r"no step has ended yet; call recorder\.live\(\)"):
            recorder.live()
        for _ in range(2):
            model(torch.randn(5, 3)).sum().backward()
            recorder.step()
            live = recorder.live(quantity, "rms")
    run = gradtrace.open_recording(tmp_path / "run").matrix(quantity, "rms")
    assert live.steps.tolist() == [1]
    assert live.nodes == run.nodes
    assert live.values[0].tolist() == pytest.approx(run.values[1].tolist(), rel=1e-6)


def test_a_step_is_kept_though_no_other_follows(tmp_path: Path) -> None:
    model = nn.Linear(3, 2)
    with gradtrace.record(model, tmp_path / "run") as recorder:
        for _ in range(5):
            model(torch.randn(5, 3)).sum().backward()
            recorder.step()
        run = gradtrace.open_recording(tmp_path / "run")
        assert wait_for(lambda: len(run.steps) == 5, seconds=2.0)


def test_a_training_that_nobody_closes_is_whole(tmp_path: Path) -> None:
    program = """if True:
        import sys, torch, gradtrace
        model = torch.nn.Linear(3, 2)
        recorder = gradtrace.record(model, sys.argv[1])
        recorder.start()
        for _ in range(5):
            model(torch.randn(5, 3)).sum().backward()
            recorder.step()
    """
    command = [sys.executable, "-c", program, str(tmp_path / "run")]
    subprocess.run(command, check=True, timeout=120)
    assert gradtrace.open_recording(tmp_path / "run").steps.tolist() == list(range(5))


@pytest.mark.parametrize("sinks", ["tensorboard", ["tensorboard"]])
def test_a_sink_is_found_by_its_name(tmp_path: Path, sinks: Any) -> None:
    pytest.importorskip("tensorboard")
    with gradtrace.record(mlp(), tmp_path / "run", sinks=sinks) as recorder:
        recorder.step(loss=1.0)
    assert len(list((tmp_path / "run").glob("events.out.tfevents.*"))) == 1
    assert len(gradtrace.open_recording(tmp_path / "run").steps) == 1


@pytest.mark.parametrize(
    ("sinks", "error", "message"),
    [
        ("wandb", RecordingError, "no sink is named 'wandb'; use one of 'tensorboard'"),
        ([print], OptionError, r"which is no sink: it has no open\(\); pass the name of one"),
    ],
)
def test_what_is_no_sink_is_said(
    tmp_path: Path, sinks: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        gradtrace.record(mlp(), tmp_path / "run", sinks=sinks)
    assert not (tmp_path / "run").exists()
