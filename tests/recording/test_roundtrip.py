"""What is recorded is what is read, however it was packed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gradtrace.errors import OptionError
from gradtrace.recording.codec import (
    join_counts,
    pack,
    pack_counts,
    split_counts,
    unpack,
    unpack_counts,
)
from gradtrace.recording.index import Span
from gradtrace.recording.matrix import Matrix
from gradtrace.recording.sample import BINS, FIELDS, Series, Step
from gradtrace.recording.statistics import STATISTICS
from tests.recording.runs import histogram, recorded, step

anywhere = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None
)

SERIES = (
    Series("fc.weight", "value", scope="fc"),
    Series("fc.weight", "gradient", scope="fc"),
    Series("fc.weight", "update", scope="fc"),
    Series("fc", "output", "module", "linear", "fc"),
    Series("fc.bias", "gradient", scope="fc"),
)

EXPECTED: dict[str, Any] = {
    "norm": np.linalg.norm,
    "rms": lambda x: np.sqrt(np.mean(x**2)),
    "mean": np.mean,
    "std": np.std,
    "min": np.min,
    "max": np.max,
    "zeros": lambda x: np.mean(x == 0),
    "nonfinite": lambda x: np.sum(~np.isfinite(x)),
    "nan": lambda x: np.sum(np.isnan(x)),
    "infinite": lambda x: np.sum(np.isinf(x)),
    "count": np.size,
}


def random_arrays(index: int) -> dict[Series, Any]:
    draw = np.random.default_rng(index)
    return {each: draw.normal(size=(7, 5)) * 10.0 ** draw.integers(-6, 3) for each in SERIES}


@pytest.mark.parametrize("count", [1, 99, 100, 101, 250])
@pytest.mark.parametrize("statistic", EXPECTED)
def test_statistics_are_those_of_numpy(tmp_path: Path, count: int, statistic: str) -> None:
    taken = [random_arrays(index) for index in range(count)]
    run = recorded(tmp_path, [step(i, each, SERIES) for i, each in enumerate(taken)])
    for quantity in ("value", "gradient", "output"):
        found = run.matrix(quantity, statistic)
        series = [each for each in SERIES if each.quantity == quantity]
        assert found.nodes == tuple(each.node for each in series)
        assert found.steps.tolist() == list(range(count))
        expected = [[EXPECTED[statistic](each[s]) for s in series] for each in taken]
        np.testing.assert_allclose(found.values, expected, rtol=2e-6, atol=1e-12)


def test_every_statistic_is_tested() -> None:
    assert set(STATISTICS) == {*EXPECTED, "saturated"}


@pytest.mark.parametrize("scale", [1e-200, 1e-40, 1e-22, 1.0, 1e22, 1e150])
def test_norms_keep_their_digits_where_squares_would_not(tmp_path: Path, scale: float) -> None:
    taken = {SERIES[1]: np.array([3.0, 4.0]) * scale if scale > 1e-150 else np.array([0.0])}
    run = recorded(tmp_path, [step(0, taken, SERIES)])
    expected = 5 * scale if scale > 1e-150 else 0.0
    assert run.matrix("gradient").values[0, 0] == pytest.approx(expected, rel=1e-6)


def test_what_was_not_computed_is_not_zero(tmp_path: Path) -> None:
    taken = {SERIES[0]: np.ones(3), SERIES[4]: np.zeros(2)}
    run = recorded(tmp_path, [step(i, taken, SERIES) for i in range(120)])
    gradients = run.matrix("gradient")
    assert np.isnan(gradients.values[:, 0]).all()
    assert (gradients.values[:, 1] == 0).all()
    assert np.isnan(run.matrix("gradient", "count").values[:, 0]).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_are_counted_and_show(tmp_path: Path, bad: float) -> None:
    taken = {SERIES[1]: np.array([1.0, bad, 2.0, bad]), SERIES[4]: np.ones(2)}
    run = recorded(tmp_path, [step(i, taken, SERIES) for i in range(3)])
    assert (run.matrix("gradient", "nonfinite").values == [[2, 0]] * 3).all()
    both = {
        name: run.matrix("gradient", name).values[:, 0].tolist() for name in ("nan", "infinite")
    }
    assert both == {"nan": [2 * np.isnan(bad)] * 3, "infinite": [2 * np.isinf(bad)] * 3}
    for statistic in ("norm", "rms", "mean", "min", "max"):
        shown = run.matrix("gradient", statistic).values
        assert np.isnan(shown[:, 0]).all()
        assert np.isfinite(shown[:, 1]).all()
    finite = run.numbers("gradient", ["sum"], Span())
    assert finite.fields["sum"][0, 0] == 3.0


def test_ratios_are_norm_by_norm(tmp_path: Path) -> None:
    taken = [random_arrays(index) for index in range(5)]
    run = recorded(tmp_path, [step(i, each, SERIES) for i, each in enumerate(taken)])
    expected = [np.linalg.norm(t[SERIES[2]]) / np.linalg.norm(t[SERIES[0]]) for t in taken]
    found = run.matrix("update ratio")
    assert found.nodes == ("fc.weight",)
    np.testing.assert_allclose(found.values[:, 0], expected, rtol=1e-6)
    assert "update ratio" in run.quantities
    assert "gain" not in run.quantities


def test_scalars_keep_every_digit_and_tell_nan_from_nothing(tmp_path: Path) -> None:
    given_ = [{"loss": 0.1 + i, **({"accuracy": np.nan} if i % 2 else {})} for i in range(150)]
    run = recorded(tmp_path, [step(i, {}, SERIES, scalars=s) for i, s in enumerate(given_)])
    assert run.scalar("loss")[1].tolist() == [0.1 + i for i in range(150)]
    steps, values = run.scalar("accuracy")
    assert steps.tolist() == list(range(1, 150, 2))
    assert np.isnan(values).all()
    assert run.scalars["loss"].loc[7] == 0.1 + 7
    assert list(run.scalars.columns) == ["loss", "accuracy"]


def test_histograms_come_back(tmp_path: Path) -> None:
    taken = [random_arrays(index) for index in range(130)]
    steps = [
        step(
            i,
            each,
            SERIES,
            histograms={1: histogram(each[SERIES[1]])} if i % 10 == 0 else None,
        )
        for i, each in enumerate(taken)
    ]
    found = recorded(tmp_path, steps).histograms("fc.weight", "gradient")
    assert found.steps.tolist() == list(range(0, 130, 10))
    expected = [histogram(taken[i][SERIES[1]]) for i in range(0, 130, 10)]
    assert (found.counts == np.array(expected)).all()
    assert found.counts.sum() == 13 * 35
    assert found.counts.shape[1] == len(found.edges) + 1 == BINS


def test_a_frame_is_the_matrix_with_its_names(tmp_path: Path) -> None:
    run = recorded(tmp_path, [step(i, random_arrays(i), SERIES) for i in range(4)])
    frame = run.frame("gradient", nodes=["fc.bias"], steps=slice(1, 3))
    assert frame.index.tolist() == [1, 2]
    assert frame.index.name == "step"
    assert list(frame.columns) == ["fc.bias"]
    assert frame["fc.bias"].tolist() == run.matrix("gradient").values[1:3, 1].tolist()


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda run: run.matrix("gradients"), "quantity='gradients' is not an option; use one of"),
        (lambda run: run.matrix("value", "p99"), "statistic='p99' is not an option; use one of"),
        (lambda run: run.matrix("value", nodes=["fc9"]), "node='fc9' is not an option; use one"),
        (lambda run: run.matrix("value", rank=3), "rank=3 is not an option; use one of 0"),
        (lambda run: run.matrix("value", steps=slice(0, 9, 2)), "leaves out steps; take them"),
        (lambda run: run.matrix("value", steps=slice(-5, None)), "not a range of step numbers"),
        (lambda run: run.scalar("lost"), "scalar='lost' is not an option; use one of 'loss'"),
        (lambda run: run.histograms("fc.weight", "x"), "quantity='x' is not an option"),
        (lambda run: run.matrix("value").pool(0), "rows=0 is not a number of rows"),
    ],
)
def test_what_is_not_there_is_said(tmp_path: Path, ask: Any, message: str) -> None:
    run = recorded(tmp_path, [step(0, random_arrays(0), SERIES, scalars={"loss": 1.0})])
    with pytest.raises(OptionError, match=message):
        ask(run)


def test_a_layout_may_change_while_it_trains(tmp_path: Path) -> None:
    before, after = SERIES[:2], (SERIES[4], SERIES[1], SERIES[0])
    taken = [random_arrays(index) for index in range(230)]
    run = recorded(
        tmp_path,
        [step(i, each, before if i % 3 else after) for i, each in enumerate(taken)],
    )
    found = run.matrix("gradient")
    assert set(found.nodes) == {"fc.weight", "fc.bias"}
    column = found.nodes.index("fc.weight")
    expected = [np.linalg.norm(each[SERIES[1]]) for each in taken]
    np.testing.assert_allclose(found.values[:, column], expected, rtol=1e-6)
    bias = found.values[:, found.nodes.index("fc.bias")]
    assert (np.isnan(bias) == [i % 3 != 0 for i in range(230)]).all()


def test_pooling_hides_no_extreme(tmp_path: Path) -> None:
    values = np.ones((1000, 2))
    values[537, 0], values[1, 1], values[999, 1] = 1e6, -3.0, np.nan
    matrix = Matrix("gain", None, np.arange(1000) * 2, ("a", "b"), values)
    for rows in (1, 7, 800, 1000, 5000):
        pooled = matrix.pool(rows)
        assert len(pooled.first) == min(rows, 1000)
        assert np.nanmax(pooled.high[:, 0]) == 1e6
        assert np.nanmin(pooled.low[:, 1]) == -3.0
        assert pooled.gaps.sum() == 1
        row = np.flatnonzero(pooled.high[:, 0] == 1e6)[0]
        assert pooled.first[row] <= 1074 <= pooled.last[row]
        assert pooled.last[-1] == 1998


blocks = arrays(
    np.float64,
    st.tuples(st.integers(1, 7), st.integers(1, 5)),
    elements=st.floats(width=32) | st.sampled_from([0.0, np.nan, np.inf, 1e-300, 1e300]),
)


@anywhere
@given(blocks)
def test_any_block_comes_back(block: Any) -> None:
    again = unpack(pack(block), block.shape)
    np.testing.assert_array_equal(again.astype(np.float64), again)
    sizes = np.abs(block[np.isfinite(block) & (block != 0)])
    within = not sizes.size or (sizes.min() >= 1.2e-38 and sizes.max() <= 3.4e38)
    np.testing.assert_array_equal(again, block.astype(np.float32) if within else block)
    np.testing.assert_array_equal(unpack(pack(block, exact=True), block.shape), block)


@anywhere
@given(st.dictionaries(st.integers(0, 900), st.integers(0, 2**32 - 1), max_size=5))
def test_any_histograms_come_back(chosen: dict[int, int]) -> None:
    counts = {at: np.full(BINS, value, dtype=np.uint32) for at, value in chosen.items()}
    positions, rows = split_counts(join_counts(counts))
    assert positions.tolist() == list(chosen)
    assert [row[0] for row in rows.tolist()] == list(chosen.values())


@pytest.mark.parametrize(
    "data",
    [b"", b"z4", b"z4garbage", b"x9", pack(np.arange(6.0)[None])[:-4], pack(np.arange(99.0)[None])],
)
def test_forged_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        unpack(data, (2, 3))
    assert not isinstance(caught.value, OptionError)


def test_forged_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="do not take 256 bytes"):
        unpack_counts(pack_counts(np.zeros((1, 900), dtype=np.uint32)), (1, 64))


def test_a_step_needs_no_statistics(tmp_path: Path) -> None:
    run = recorded(tmp_path, [Step(i, float(i), {"loss": 1.0}) for i in range(105)])
    assert run.steps.tolist() == list(range(105))
    assert run.times.tolist() == [float(i) for i in range(105)]
    assert run.quantities == ()
    assert len(FIELDS) == 9
