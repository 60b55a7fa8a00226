"""Recordings of trainings in several processes, against the same training in one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import gradtrace
from tests.torch.recording.oracle import Truth, assert_recorded, watch_modules
from tests.torch.recording.ranks import STEPS, batch, net

ROOT = Path(__file__).parents[3]


def launch(world: int, *arguments: str, fails: bool = False, **environment: str) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += [f"--nproc-per-node={world}", "-m", "tests.torch.recording.ranks", *arguments]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.returncode != 0) is fails, done.stderr[-4000:]


pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:Full backward hook is firing when:UserWarning"),
]


def truth_of(*, clips: bool) -> Truth:
    """Train in one process on the whole batches."""
    model, truth, now = net(), Truth(), [0]
    watch_modules(model, truth, lambda: now[0])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for step in range(STEPS):
        now[0] = step
        old = {name: p.detach().clone() for name, p in model.named_parameters()}
        x, y = batch(step)
        nn.functional.mse_loss(model(x), y).backward()
        for name, p in model.named_parameters():
            truth.tell(step, "unclipped gradient", name, p.grad)
        if clips:
            nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        for name, p in model.named_parameters():
            truth.tell(step, "gradient", name, p.grad)
        optimizer.step()
        for name, p in model.named_parameters():
            truth.tell(step, "value", name, p)
            truth.tell(step, "update", name, p.detach() - old[name], "norm", "count")
        optimizer.zero_grad()
    return truth


@pytest.mark.parametrize(
    ("kind", "world", "when"),
    [
        ("ddp", 2, "early"),
        ("ddp", 4, "late"),
        ("fsdp", 2, "early"),
        ("fsdp", 4, "late"),
        ("hsdp", 4, "late"),  # sharded over pairs, of which there are two
    ],
)
def test_merged_numbers_are_those_of_one_process(
    tmp_path: Path, kind: str, world: int, when: str
) -> None:
    launch(world, kind, str(tmp_path / "run"), when)
    run = gradtrace.open_recording(tmp_path / "run")
    assert run.ranks == tuple(range(world))
    assert run.steps.tolist() == list(range(STEPS))
    assert run.state == "finished"
    # rounding differs with the order of the additions
    assert_recorded(tmp_path / "run", truth_of(clips=kind == "ddp"), rtol=1e-4)
    assert set(run.nodes("gradient")) == {name for name, _ in net().named_parameters()}
    for name, parameter in net().named_parameters():
        assert run.histograms(name, "gradient").counts.sum(axis=1).tolist() == [parameter.numel()]
    merged = run.frame("gradient")
    for rank in range(world):
        live = pd.read_csv(tmp_path / "run" / f"live{rank}.csv", index_col="step")
        pd.testing.assert_frame_equal(
            live[merged.columns], merged, check_dtype=False, check_index_type=False, rtol=1e-6
        )


def test_ranks_can_be_told_apart(tmp_path: Path) -> None:
    launch(2, "ddp", str(tmp_path / "run"), "late", SLOW="1")
    run = gradtrace.open_recording(tmp_path / "run")
    model = net()
    local = []
    for rank in range(2):
        model.zero_grad()
        x, y = batch(0, rank, 2)
        nn.functional.mse_loss(model(x), y).backward()
        found = run.matrix("local gradient", "norm", rank=rank)
        expected = model[0].weight.grad.norm().item()
        assert found.values[0, found.nodes.index("0.weight")] == pytest.approx(expected, rel=1e-5)
        local.append(expected)
    assert not np.isclose(*local, rtol=1e-3)
    same = [run.matrix("gradient", "norm", rank=rank).values for rank in range(2)]
    np.testing.assert_allclose(same[0], same[1], rtol=1e-6)


def test_a_rank_that_dies_holds_nobody(tmp_path: Path) -> None:
    launch(2, "killed", str(tmp_path / "run"), "late", fails=True)
    run = gradtrace.open_recording(tmp_path / "run")
    assert run.state == "stopped"
    assert run.steps.tolist() == list(range(2 * STEPS))
    found = {rank: run.matrix("gradient", rank=rank) for rank in run.ranks}
    assert [each.shape[0] for each in found.values()] == [2 * STEPS, STEPS]
    assert np.isfinite(run.matrix("gradient").values).all()  # of replicas, the living one tells
    outputs = run.matrix("output").values
    assert np.isfinite(outputs[:STEPS]).all()
    assert np.isnan(outputs[STEPS:]).all()  # of parts, the whole is not known
