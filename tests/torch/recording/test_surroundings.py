"""What a recording does to the training around it: nothing."""

from __future__ import annotations

import copy
import gc
import math
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import gradtrace
from tests.torch.recording.oracle import Truth, assert_recorded, twin
from tests.torch.recording.trainings import hooks_on, mlp, train


@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize("fails", [None, "forward", "backward", "optimizer"])
def test_nothing_is_left_behind(tmp_path: Path, given: bool, fails: str | None) -> None:
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    attributes = {name: sorted(vars(module)) for name, module in model.named_modules()}

    class Failing(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            if fails == "forward":
                raise RuntimeError("planned")
            return x.clone()

        @staticmethod
        def backward(ctx: Any, *gradients: Tensor) -> Any:
            raise RuntimeError("planned")

    def attempt() -> None:
        options = {"optimizer": optimizer} if given else {}
        with gradtrace.record(model, tmp_path / "run", **options):
            train(model, optimizer, 2)
            if fails == "optimizer":
                optimizer.param_groups[0]["lr"] = "none"
                train(model, optimizer, 1)
            elif fails:
                Failing.apply(model(torch.randn(5, 4))).sum().backward()

    if fails:
        with pytest.raises((RuntimeError, TypeError)):
            attempt()
        optimizer.param_groups[0]["lr"] = 0.1
    else:
        attempt()
    assert hooks_on(model, optimizer) == 0
    assert {name: sorted(vars(module)) for name, module in model.named_modules()} == attributes
    train(model, optimizer, 1)
    run = gradtrace.open_recording(tmp_path / "run")
    assert run.steps.tolist() == [0, 1]
    assert run.state == ("stopped" if fails else "finished")


def test_nothing_is_kept_alive(tmp_path: Path) -> None:
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    recorder = gradtrace.record(model, tmp_path / "run")
    with recorder:
        out = model(torch.randn(5, 4))
        out.sum().backward()
        alive = weakref.ref(out), weakref.ref(model[0].weight.grad)
        optimizer.step()
        optimizer.zero_grad()
        del out
        recorder.step()
        gc.collect()
        assert [each() for each in alive] == [None, None]
    gone = weakref.ref(model)
    del model, optimizer, recorder
    gc.collect()
    assert gone() is None


def test_training_is_bitwise_the_same_with_all_that_is_there(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(4, 64), nn.Dropout(0.3), nn.BatchNorm1d(64), nn.Linear(64, 2))
    other = twin(model)
    for each in (model, other):
        torch.manual_seed(7)
        optimizer = torch.optim.Adam(each.parameters(), lr=0.01)
        if each is model:
            with gradtrace.record(each, tmp_path / "run", histograms_every=2, snapshots_every=3):
                train(each, optimizer, 8)
        else:
            train(each, optimizer, 8)
        state = torch.random.get_rng_state()
    for p, q in zip(model.state_dict().values(), other.state_dict().values(), strict=True):
        assert torch.equal(p, q)
    torch.manual_seed(7)
    run = gradtrace.open_recording(tmp_path / "run")
    assert run.steps.tolist() == list(range(8))
    assert sorted(run.snapshots) == [0, 3, 6]
    assert state is not None


@pytest.mark.parametrize("snapshots", [None, 1])
def test_a_model_is_copied_and_saved_while_it_is_recorded(
    tmp_path: Path, snapshots: int | None
) -> None:
    model, x = mlp(), torch.ones(3, 4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with gradtrace.record(model, tmp_path / "run", snapshots_every=snapshots) as recorder:
        model(x).sum().backward()
        copied, averaged = copy.deepcopy(model), torch.optim.swa_utils.AveragedModel(model)
        torch.save(model, tmp_path / "model.pt")
        for each in (copied, averaged):
            each(x + 1).sum().backward()
        optimizer.step()
        recorder.step()
    assert "gradtrace" not in (tmp_path / "model.pt").read_bytes().decode("latin-1")
    loaded = torch.load(tmp_path / "model.pt", weights_only=False)
    for each in (loaded, copied):
        assert torch.equal(each(x), mlp()(x))
    truth = Truth()
    truth.tell(0, "output", "", mlp()(x), "norm", "count")
    assert_recorded(tmp_path / "run", truth)


def test_a_transform_of_the_model_is_not_recorded(tmp_path: Path) -> None:
    model, x = mlp(), torch.ones(3, 4)
    named = dict(model.named_parameters())

    def loss(parameters: dict[str, Tensor], row: Tensor) -> Tensor:
        return torch.func.functional_call(model, parameters, (row,)).sum()

    with gradtrace.record(model, tmp_path / "run", snapshots_every=1) as recorder:
        found = torch.func.vmap(torch.func.grad(loss), (None, 0))(named, x)
        loss(named, x).backward()
        recorder.step()
    assert found["0.weight"].shape == (3, 8, 4)
    truth = Truth()
    truth.tell(0, "output", "", model(x), "norm", "count")
    truth.tell(0, "gradient", "0.weight", model[0].weight.grad)
    assert_recorded(tmp_path / "run", truth)


@pytest.mark.parametrize("manual", [True, False])
def test_snapshots_are_whole_steps(tmp_path: Path, manual: bool) -> None:
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with gradtrace.record(model, tmp_path / "run", snapshots_every=2) as recorder:
        for _ in range(5):
            train(model, optimizer, 1)
            if manual:
                recorder.step()
    run = gradtrace.open_recording(tmp_path / "run")
    assert sorted(run.snapshots) == [0, 2, 4]
    for path in run.snapshots.values():
        graph = gradtrace.load(path)
        assert {"0.linear", "1.relu", "2.linear", "pow", "sum"} <= set(graph)
        assert not graph.check().failed
        assert "0.linear_2" not in graph
    norms = run.matrix("unclipped gradient", "norm")
    graph = gradtrace.load(run.snapshots[2])
    for column, node in enumerate(norms.nodes):
        traced = graph.nodes[node]["upstream_gradient"].norm
        assert norms.values[2, column] == pytest.approx(traced, rel=1e-5)


def test_a_trace_of_the_users_own_has_precedence(tmp_path: Path) -> None:
    model = mlp()
    with gradtrace.record(model, tmp_path / "run", snapshots_every=1) as recorder:
        for step in range(3):
            if step == 1:
                with gradtrace.trace(model) as graph:
                    model(torch.randn(5, 4)).sum().backward()
            else:
                model(torch.randn(5, 4)).sum().backward()
            recorder.step()
    assert "0.linear" in graph
    assert torch._C._len_torch_function_stack() == 0
    run = gradtrace.open_recording(tmp_path / "run")
    assert sorted(run.snapshots) == [0, 2]
    assert run.steps.tolist() == [0, 1, 2]


def test_a_mode_of_the_users_own_outlives_a_snapshot(tmp_path: Path) -> None:
    model = mlp()
    with gradtrace.record(model, tmp_path / "run", snapshots_every=1) as recorder:
        for _ in range(3):
            model(torch.randn(5, 4)).sum().backward()
            with torch.device("meta"):
                recorder.step()
                assert torch.empty(1).is_meta
            assert not torch.empty(1).is_meta
    assert torch._C._len_torch_function_stack() == 0


@pytest.mark.parametrize("unscales", [True, False])
@pytest.mark.parametrize("fused", [True, False])
def test_gradients_are_recorded_unscaled(tmp_path: Path, unscales: bool, fused: bool) -> None:
    model = mlp()
    other = twin(model)
    truth = Truth()
    x = [torch.randn(5, 4) for _ in range(4)]
    optimizer = torch.optim.SGD(other.parameters(), lr=0.1)
    for step in range(4):
        out = other(x[step])
        out.retain_grad()
        out.pow(2).sum().backward()
        truth.tell(step, "upstream gradient", "2", out.grad, "norm", "rms", "nonfinite", "count")
        for name, p in other.named_parameters():
            truth.tell(step, "unclipped gradient", name, p.grad)
            if not unscales:
                truth.tell(step, "gradient", name, p.grad)
        if unscales:
            nn.utils.clip_grad_norm_(other.parameters(), 0.1)
        optimizer.step()
        optimizer.zero_grad()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, fused=fused)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=2)
    with gradtrace.record(model, tmp_path / "run") as recorder:
        for step in range(4):
            loss = model(x[step]).pow(2).sum()
            scaler.scale(loss).backward()
            if unscales:
                scaler.unscale_(optimizer)
                nn.utils.clip_grad_norm_(model.parameters(), 0.1)
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad()
            recorder.step(loss=loss)
    assert_recorded(tmp_path / "run", truth, rtol=1e-4)
    run = gradtrace.open_recording(tmp_path / "run")
    assert run.scalar("scale")[1].tolist() == [1024.0, 1024.0, 2048.0, 2048.0]


def test_a_step_that_a_scaler_leaves_out(tmp_path: Path) -> None:
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=64.0)
    with gradtrace.record(model, tmp_path / "run") as recorder:
        for step in range(3):
            loss = model(torch.randn(5, 4)).sum() * (math.inf if step == 1 else 1)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad()
            recorder.step()
    run = gradtrace.open_recording(tmp_path / "run")
    assert run.scalar("scale")[1].tolist() == [64.0, 64.0, 32.0]
    bad = run.matrix("gradient", "nonfinite")
    assert bad.values[1].sum() > 0
    assert bad.values[[0, 2]].sum() == 0
    update = run.matrix("update", "norm")
    assert [math.isnan(row[0]) for row in update.values] == [False, True, False]


def test_autocast(tmp_path: Path) -> None:
    model = mlp()
    with gradtrace.record(model, tmp_path / "run") as recorder:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            out = model(torch.randn(5, 4))
        out.float().sum().backward()
        recorder.step()
    run = gradtrace.open_recording(tmp_path / "run")
    output = run.matrix("output", "norm")
    assert output.values[0, output.nodes.index("2")] == pytest.approx(
        out.float().norm().item(), rel=1e-3
    )
