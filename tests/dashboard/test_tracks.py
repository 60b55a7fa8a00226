"""Whether a long run is reduced without hiding an extreme, a zero, NaN or a gap."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import gradtrace
from gradtrace.recording.sample import Series, Step
from gradtrace.recording.writer import Writer
from gradtrace_dashboard import data, tracks
from gradtrace_dashboard.cells import ABSENT, INFINITE, NAN, NUMBER, ZERO, Cells
from gradtrace_dashboard.rows import TOTAL, rows_of
from gradtrace_dashboard.tracks import Track
from tests.dashboard.runs import odd_run
from tests.recording.runs import recorded, statistics, training, wait_for

NUMBERS = arrays(
    np.float32,
    st.tuples(st.integers(1, 60), st.integers(1, 3)),
    elements=st.sampled_from([0.0, 1.0, -2.0, 1e-30, 1e30, float("inf"), float("nan")]),
)


def cells_of(values: np.ndarray) -> Cells:
    """Cells of one step each, by the plainest rule."""
    kinds = np.full(values.shape, NUMBER, np.uint8)
    kinds[values == 0] = ZERO
    kinds[np.isinf(values)] = INFINITE
    kinds[np.isnan(values)] = NAN
    numbers = np.where(kinds == NUMBER, values, np.nan).astype(np.float32)
    steps = np.arange(len(values))
    return Cells(steps, steps, tuple("abc"[: values.shape[1]]), numbers, numbers, kinds)


@given(NUMBERS, st.integers(1, 70))
def test_merging_keeps_extremes_and_all_that_is_odd(values: np.ndarray, most: int) -> None:
    merged = cells_of(values).merged(most)
    assert len(merged.first) == min(most, len(values))
    assert merged.first[0] == 0
    assert merged.last[-1] == len(values) - 1
    assert (merged.first[1:] == merged.last[:-1] + 1).all()
    for row, (first, last) in enumerate(zip(merged.first, merged.last, strict=True)):
        block = values[first : last + 1]
        for column in range(values.shape[1]):
            there = block[:, column]
            plain = there[np.isfinite(there) & (there != 0)]
            assert bool(merged.kinds[row, column] & ZERO) == (there == 0).any()
            assert bool(merged.kinds[row, column] & NAN) == np.isnan(there).any()
            assert bool(merged.kinds[row, column] & INFINITE) == np.isinf(there).any()
            if plain.size:
                assert merged.low[row, column] == plain.min()
                assert merged.high[row, column] == plain.max()
            else:
                assert np.isnan(merged.high[row, column])


def test_what_is_no_number_is_shown_as_itself(tmp_path: Path) -> None:
    recording = odd_run(tmp_path / "odd")
    found = rows_of(recording, "gradient", "norm", tuple("abcde"), slice(0, 1))
    assert found.kinds[0].tolist() == [NUMBER, ZERO, NAN, INFINITE, ABSENT]
    assert found.high[0, 0] == 5.0


def test_a_tensor_with_both_has_nan_and_inf(tmp_path: Path) -> None:
    series = (Series("a", "gradient"), Series("b", "gradient"))
    rows = np.array([statistics([np.nan, np.inf]), statistics([np.inf, 1.0])])
    recording = recorded(tmp_path / "run", [Step(0, 1.0, {}, series, rows)])
    found = rows_of(recording, "gradient", "norm", ("a", "b"), slice(0, 1))
    assert found.kinds[0].tolist() == [NAN | INFINITE, INFINITE]
    header, a, b = found.rows()
    assert dict(zip(header, a, strict=True))["NaN"] is True
    assert b == (0, 0, "b", "", "", False, False, True)


def test_the_gain_of_nothing_is_not_computed(tmp_path: Path) -> None:
    series = tuple(
        Series("a", f"{which} gradient", "module") for which in ("upstream", "downstream")
    )
    row = statistics([0.0, 0.0])
    recording = recorded(tmp_path / "run", [Step(0, 1.0, {}, series, np.array([row, row]))])
    found = rows_of(recording, "gain", "norm", ("a",), slice(0, 1))
    assert found.kinds[0].tolist() == [ABSENT]


def test_a_spike_of_one_step_survives_any_length(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(tracks, "MOST", 16)
    monkeypatch.setattr(tracks, "CHUNK", 70)
    steps = training(333)
    series = steps[0].series
    column = series.index(next(s for s in series if s.quantity == "gradient"))
    steps[211].statistics[column, 2] = 1e12
    recording = recorded(tmp_path / "run", steps)
    track = Track(recording, "gradient", "norm", None)
    while track.advance(332):
        pass
    found = track.cells()
    assert len(found.first) <= 17
    assert (found.first[0], found.last[-1]) == (0, 332)
    whole = recording.matrix("gradient").values
    np.testing.assert_array_equal(np.nanmax(found.high, axis=0), whole.max(axis=0))
    np.testing.assert_array_equal(np.nanmin(found.low, axis=0), whole.min(axis=0))
    assert found.high[:, found.nodes.index(series[column].node)].max() == np.float32(1e6)


def test_the_total_is_the_norm_of_all_nodes(tmp_path: Path) -> None:
    recording = recorded(tmp_path / "run", training(10))
    found, complete = data.cells(tmp_path / "run", "gradient", TOTAL, patience=10)
    assert complete
    expected = np.linalg.norm(recording.matrix("gradient").values, axis=1)
    np.testing.assert_allclose(found.high[:, 0], expected, rtol=1e-6)


def test_a_run_that_grows_is_read_on(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "run")
    for step in training(20):
        writer.put(step)
    assert wait_for(lambda: len(data.steps(tmp_path / "run")) == 20)
    first, _ = data.cells(tmp_path / "run", "gradient", patience=10)
    assert first.last[-1] == 19
    for step in training(5, first=20):
        writer.put(step)
    writer.close()
    later, _ = data.cells(tmp_path / "run", "gradient", patience=10)
    assert later.last[-1] == 24
    assert len(later.first) == 25


def test_a_run_that_begins_again_earlier_is_read_anew(tmp_path: Path) -> None:
    recorded(tmp_path / "run", training(20))
    data.cells(tmp_path / "run", "gradient", patience=10)
    again = training(5, first=10, seed=7)
    recording = recorded(tmp_path / "run", again)
    found, _ = data.cells(tmp_path / "run", "gradient", patience=10)
    assert found.last[-1] == 14
    np.testing.assert_array_equal(found.high, recording.matrix("gradient").values)


def test_an_empty_run_has_no_cells(tmp_path: Path) -> None:
    recorded(tmp_path / "run", [])
    assert data.runs(tmp_path)[0].steps == 0


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda path: path.write_bytes(b"no database"), "rank00000.sqlite"),
        (lambda path: path.write_bytes(path.read_bytes()[:5000]), "rank00000.sqlite"),
        (lambda path: path.with_name("run.json").write_text("{"), "run.json"),
        (lambda path: path.with_name("run.json").write_text('{"gradtrace": 99}'), "newer"),
    ],
)
def test_a_broken_run_names_its_file_and_spares_the_others(tmp_path: Path, spoil, says) -> None:
    recorded(tmp_path / "good", training(5))
    recorded(tmp_path / "bad", training(200))
    spoil(tmp_path / "bad" / "rank00000.sqlite")
    good, bad = data.runs(tmp_path)
    assert (good.name, good.steps, good.error) == ("good", 5, None)
    assert bad.name == "bad"
    assert bad.error is not None
    assert says in bad.error


def test_a_step_that_lacks_a_node_says_not_computed(tmp_path: Path) -> None:
    early, late = Series("a", "gradient"), Series("b", "gradient")
    row = np.array([statistics([3.0])])
    steps = [
        Step(0, 1.0, {}, (early,), row),
        Step(1, 2.0, {}, (early, late), np.concatenate([row, row])),
    ]
    recording = recorded(tmp_path / "run", steps)
    found = rows_of(recording, "gradient", "norm", ("a", "b"), slice(0, 2))
    assert found.kinds.tolist() == [[NUMBER, ABSENT], [NUMBER, NUMBER]]


def test_a_window_holds_its_steps_only(tmp_path: Path) -> None:
    recorded(tmp_path / "run", training(50))
    found, complete = data.cells(tmp_path / "run", "gradient", window=(10, 19), patience=10)
    assert complete
    assert found.first.tolist() == list(range(10, 20))


@pytest.mark.parametrize("every", [1, 2])
@pytest.mark.parametrize("chunk", [3, 4000])
def test_what_is_large_is_held_between_the_steps_that_look_at_it(
    tmp_path: Path, monkeypatch, every: int, chunk: int
) -> None:
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(tracks, "CHUNK", chunk)

    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.wide, self.act = torch.nn.Linear(4, 9000), torch.nn.Tanh()
            self.small = torch.nn.Linear(9000, 2)
            self.rare = torch.nn.Linear(2, 2)

        def forward(self, x):
            y = self.small(self.act(self.wide(x)))
            return self.rare(y) if recorder.steps % 3 == 0 else y

    model = Model()
    with gradtrace.record(model, tmp_path / "run", every=every, snapshots_every=None) as recorder:
        for _ in range(15):
            model(torch.randn(6, 4)).sum().backward()
            model.zero_grad()
            recorder.step()
    for quantity in ("upstream gradient", "gain"):
        matrix = gradtrace.open_recording(tmp_path / "run").matrix(quantity)
        for window in (None, (5, 14)):
            found, _ = data.cells(tmp_path / "run", quantity, window=window, patience=10)
            begins = 5 if window else 0
            assert found.first.tolist() == [s for s in range(begins, 15) if s % every == 0]
            for node in ("wide", "act", "small", "rare"):
                column, row = found.nodes.index(node), matrix.nodes.index(node)
                known = dict(zip(matrix.steps.tolist(), matrix.values[:, row], strict=True))
                held = node != "rare"
                expected = [
                    known[s - s % 4] if held and np.isnan(known[s]) else known[s]
                    for s in found.first.tolist()
                ]
                np.testing.assert_array_equal(found.high[:, column], expected)
