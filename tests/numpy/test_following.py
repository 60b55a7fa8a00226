"""A recorded training of the NumPy engine, against the same training in torch, and by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import gradtrace
import gradtrace_numpy as gn
from gradtrace.errors import OptionError
from gradtrace.recording.sample import QUANTITIES
from tests.recording.runs import histogram

STEPS = 4
STATISTICS = ("norm", "rms", "min", "max", "zeros", "count", "nonfinite", "saturated")


def weights() -> dict[str, np.ndarray[Any, Any]]:
    draw = np.random.default_rng(3)
    shapes = {"fc1": (7, 5), "fc2": (7, 7), "fc3": (3, 7)}
    return {
        f"{name}.{part}": draw.normal(size=shape if part == "weight" else shape[:1])
        for name, shape in shapes.items()
        for part in ("weight", "bias")
    }


def batches(micro: int) -> Iterator[list[tuple[Any, Any]]]:
    draw = np.random.default_rng(5)
    for _ in range(STEPS):
        yield [(draw.normal(size=(6, 5)), draw.normal(size=(6, 3))) for _ in range(micro)]


def numpy_model() -> dict[str, gn.Array]:
    return {name: gn.parameter(each) for name, each in weights().items()}


def numpy_forward(p: dict[str, gn.Array], x: Any) -> Any:
    with gn.scope("fc1"):
        x = gn.linear(x, p["fc1.weight"], p["fc1.bias"])
    with gn.scope("act1"):
        x = gn.relu(x)
    with gn.scope("fc2"):
        x = gn.linear(x, p["fc2.weight"], p["fc2.bias"])
    with gn.scope("act2"):
        x = gn.tanh(x)
    with gn.scope("fc3"):
        return gn.linear(x, p["fc3.weight"], p["fc3.bias"])


class TorchModel(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc2, self.fc3 = nn.Linear(5, 7), nn.Linear(7, 7), nn.Linear(7, 3)
        self.act1, self.act2 = nn.ReLU(), nn.Tanh()
        self.double()
        self.load_state_dict({name: torch.tensor(each) for name, each in weights().items()})

    def forward(self, x: Any) -> Any:
        return self.fc3(self.act2(self.fc2(self.act1(self.fc1(x)))))


OPTIMIZERS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "SGD": (
        lambda p: gn.SGD(p, lr=0.1, momentum=0.9),
        lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
    ),
    "Adam": (lambda p: gn.Adam(p, lr=0.01), lambda p: torch.optim.Adam(p, lr=0.01)),
}


def record_numpy(
    folder: Path, optimizer: Callable[[Any], Any], micro: int, clip: float | None, **options: Any
) -> gradtrace.Recording:
    p = numpy_model()
    stepper = optimizer(p)
    with gradtrace.record(p, folder, histograms_every=1, **options) as recorder:
        for batch in batches(micro):
            for x, y in batch:
                loss = gn.mse(numpy_forward(p, x), y) / micro
                loss.backward()
            if clip is not None:
                gn.clip_gradients(p, clip)
            stepper.step()
            stepper.zero_grad()
            recorder.step(loss=loss)
    return gradtrace.open_recording(folder)


def record_torch(
    folder: Path, optimizer: Callable[[Any], Any], micro: int, clip: float | None
) -> gradtrace.Recording:
    model = TorchModel()
    stepper = optimizer(model.parameters())
    with gradtrace.record(model, folder, histograms_every=1, exclude=_is_root) as recorder:
        for batch in batches(micro):
            for x, y in batch:
                loss = functional.mse_loss(model(torch.tensor(x)), torch.tensor(y)) / micro
                loss.backward()
            if clip is not None:
                nn.utils.clip_grad_norm_(model.parameters(), clip)
            stepper.step()
            stepper.zero_grad()
            recorder.step(loss=loss)
    return gradtrace.open_recording(folder)


def _is_root(name: str) -> bool:
    return not name


@pytest.mark.parametrize("clip", [None, 0.3])
@pytest.mark.parametrize("micro", [1, 2])
@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_numbers_are_those_of_torch(
    tmp_path: Path, kind: str, micro: int, clip: float | None
) -> None:
    ours, theirs = OPTIMIZERS[kind]
    run = record_numpy(tmp_path / "numpy", ours, micro, clip)
    other = record_torch(tmp_path / "torch", theirs, micro, clip)
    assert run.steps.tolist() == other.steps.tolist() == list(range(STEPS))
    assert run.quantities == other.quantities
    assert set(QUANTITIES) - set(run.quantities) == {"local gradient"}
    for quantity in run.quantities:
        assert set(run.nodes(quantity)) == set(other.nodes(quantity)), quantity
        for statistic in STATISTICS if quantity in QUANTITIES else ("norm",):
            if statistic == "zeros" and quantity != "output":
                continue  # torch is asked for zeros of outputs only
            if statistic in ("min", "max") and quantity not in ("value", "gradient"):
                continue
            found = run.matrix(quantity, statistic, nodes=other.nodes(quantity)).values
            expected = other.matrix(quantity, statistic).values
            np.testing.assert_allclose(found, expected, rtol=2e-4, atol=1e-8, err_msg=quantity)
    for name, (steps, values) in other.scalar_values().items():
        np.testing.assert_array_equal(run.scalar(name)[0], steps)
        np.testing.assert_allclose(run.scalar(name)[1], values, rtol=1e-6)


def test_histograms_count_the_magnitudes(tmp_path: Path) -> None:
    run = record_numpy(tmp_path / "run", lambda p: gn.SGD(p, lr=0.1), 1, None)
    p = numpy_model()
    for step, [(x, y)] in enumerate(batches(1)):
        gn.mse(numpy_forward(p, x), y).backward()
        for name, each in p.items():
            before = each.data
            found = run.histograms(name, "gradient").counts[step]
            np.testing.assert_array_equal(found, histogram(each.grad))
            each.data = each.data - 0.1 * each.grad
            each.grad = None
            found = run.histograms(name, "value").counts[step]
            np.testing.assert_array_equal(found, histogram(each.data))
            found = run.histograms(name, "update").counts[step]
            np.testing.assert_array_equal(found, histogram(each.data - before))


def train_by_hand(p: dict[str, gn.Array], each_step: Callable[[int], None]) -> None:
    for step, [(x, y)] in enumerate(batches(1)):
        gn.mse(numpy_forward(p, x), y).backward()
        for each in p.values():
            each.data = each.data - 0.1 * each.grad
            each.grad = None
        each_step(step)


def test_a_loop_without_optimizer_is_recorded_as_with_one(tmp_path: Path) -> None:
    p = numpy_model()
    with gradtrace.record(p, tmp_path / "by hand", snapshots_every=None) as recorder:
        train_by_hand(p, lambda step: recorder.step())
    run = gradtrace.open_recording(tmp_path / "by hand")
    other = record_numpy(tmp_path / "SGD", lambda p: gn.SGD(p, lr=0.1), 1, None)
    for quantity in run.quantities:
        found, expected = run.matrix(quantity), other.matrix(quantity)
        assert found.nodes == expected.nodes
        np.testing.assert_allclose(found.values, expected.values, rtol=1e-6, err_msg=quantity)


def test_a_recorder_changes_nothing(tmp_path: Path) -> None:
    bare, recorded = numpy_model(), numpy_model()
    train_by_hand(bare, lambda step: None)
    state = np.random.get_state(legacy=False)["state"]["key"].tolist()
    with gradtrace.record(recorded, tmp_path / "run", snapshots_every=2) as recorder:
        train_by_hand(recorded, lambda step: recorder.step())
    assert np.random.get_state(legacy=False)["state"]["key"].tolist() == state
    for name, each in bare.items():
        np.testing.assert_array_equal(each.data, recorded[name].data)
    run = gradtrace.open_recording(tmp_path / "run")
    assert list(run.snapshots) == [0, 2]
    graph = gradtrace.load(run.snapshots[2])
    assert "fc2.weight" in graph
    assert graph.check().ok


def test_without_step_a_step_ends_with_the_optimizer(tmp_path: Path) -> None:
    p = numpy_model()
    stepper = gn.SGD(p, lr=0.1)
    with gradtrace.record(p, tmp_path / "run", optimizer=stepper):
        for [(x, y)] in batches(1):
            gn.mse(numpy_forward(p, x), y).backward()
            stepper.step()
            stepper.zero_grad()
    run = gradtrace.open_recording(tmp_path / "run")
    other = record_numpy(tmp_path / "told", lambda p: gn.SGD(p, lr=0.1), 1, None)
    assert run.steps.tolist() == list(range(STEPS))
    for quantity in run.quantities:
        np.testing.assert_allclose(run.matrix(quantity).values, other.matrix(quantity).values)


def test_gradients_that_are_only_asked_for_are_no_step(tmp_path: Path) -> None:
    p = numpy_model()
    with gradtrace.record(p, tmp_path / "run", snapshots_every=None) as recorder:
        [(x, y)] = next(batches(1))
        gn.gradients(gn.mse(numpy_forward(p, x), y), list(p.values()))
        recorder.step()
    run = gradtrace.open_recording(tmp_path / "run")
    assert np.isnan(run.matrix("gradient").values).all()
    assert np.isnan(run.matrix("upstream gradient").values).all()
    assert np.isfinite(run.matrix("value").values).all()


def test_nan_and_infinity_are_told_apart(tmp_path: Path) -> None:
    p = {"w": gn.parameter([1.0, 1.0, 1.0])}
    with gradtrace.record(p, tmp_path / "run", snapshots_every=None) as recorder:
        np.sum(p["w"] * np.array([np.nan, np.inf, 2.0])).backward()
        recorder.step()
    run = gradtrace.open_recording(tmp_path / "run")
    told = {name: float(run.matrix("gradient", name).values[0, 0]) for name in ("nan", "infinite")}
    assert told == {"nan": 1.0, "infinite": 1.0}


@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        (lambda p: "SGD", "optimizer='SGD' is no optimizer of gradtrace_numpy; pass one, a list"),
        (lambda p: gn.SGD([gn.parameter([1.0])]), "optimizer=SGD steps none of the 6 parameters"),
    ],
)
def test_a_strange_optimizer_is_refused(tmp_path: Path, optimizer: Any, message: str) -> None:
    p = numpy_model()
    with pytest.raises(OptionError, match=message):
        gradtrace.record(p, tmp_path / "run", optimizer=optimizer(p))


def test_what_is_no_number_is_refused(tmp_path: Path) -> None:
    with (
        gradtrace.record(numpy_model(), tmp_path / "run") as recorder,
        pytest.raises(OptionError, match=r"is no number; recorder\.step"),
    ):
        recorder.step(loss=gn.array([1.0, 2.0]))


def test_a_gradient_is_the_one_that_its_optimizer_took(tmp_path: Path) -> None:
    w, u = gn.parameter([[0.5, -1.0], [2.0, 0.3]]), gn.parameter([1.0, -2.0])
    one, two = gn.SGD([w], lr=0.1), gn.SGD([u], lr=0.1)
    took: dict[str, list[float]] = {"w": [], "u": []}
    with gradtrace.record({"w": w, "u": u}, tmp_path / "run") as recorder:
        for _ in range(3):
            w.grad = u.grad = None
            for part in ("both", "u"):
                ((u * (w @ np.ones(2) if part == "both" else 3.0)) ** 2).sum().backward()
                if part == "both":
                    took["w"].append(float(np.linalg.norm(w.grad)))
                    w.grad = w.grad * 0.1
                    one.step()
            ((w * 2.0) ** 2).sum().backward()  # what comes after the step counts for the next
            took["u"].append(float(np.linalg.norm(u.grad)))
            u.grad = u.grad * 0.1
            two.step()
            recorder.step()
    run = gradtrace.open_recording(tmp_path / "run")
    for node, norms in took.items():
        before = run.matrix("unclipped gradient").only([node]).values[:, 0]
        after = run.matrix("gradient").only([node]).values[:, 0]
        np.testing.assert_allclose(before, norms, rtol=1e-6)
        np.testing.assert_allclose(after, np.multiply(norms, 0.1), rtol=1e-6)
