"""What several processes recorded reads as what one process would have recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradtrace.recording.index import Span
from gradtrace.recording.reader import Recording, open_recording
from gradtrace.recording.sample import FIELDS, Series
from gradtrace.recording.statistics import MERGE, STATISTICS
from gradtrace.recording.writer import Writer
from tests.recording.runs import histogram, step

REPLICA = Series("fc.weight", "value", scope="fc")
SHARD = Series("fc.weight", "gradient", scope="fc", spread="parts")
LOCAL = Series("fc", "output", "module", "relu", "fc", spread="parts")
SERIES = (REPLICA, SHARD, LOCAL)


def whole(index: int) -> dict[Series, Any]:
    draw = np.random.default_rng(index)
    return {each: np.maximum(draw.normal(size=12), 0) * 3 for each in SERIES}


def part(arrays: dict[Series, Any], rank: int, ranks: int) -> dict[Series, Any]:
    """Return what one process has: unequal shares, of which the last may be empty."""
    edges = [0, *range(5, 5 + 4 * (ranks - 2), 4), 12, 12][: ranks + 1] if ranks > 2 else [0, 5, 12]
    shares = slice(edges[rank], edges[rank + 1])
    return {REPLICA: arrays[REPLICA], SHARD: arrays[SHARD][shares], LOCAL: arrays[LOCAL][shares]}


def distributed(folder: Path, ranks: int, counts: list[int] | None = None) -> Recording:
    """Record a training by several processes, each so many steps."""
    for rank, count in enumerate(counts or [130] * ranks):
        writer = Writer(folder, {"rank": rank}, rank=rank)
        for index in range(count):
            mine = part(whole(index), rank, ranks)
            shown = {1: histogram(mine[SHARD])} if index % 10 == 0 else None
            more = {"scalars": {"loss": float(rank)}, "histograms": shown}
            writer.put(step(index, mine, SERIES, **more))
        writer.close()
    return open_recording(folder)


@pytest.mark.parametrize("ranks", [2, 4])
@pytest.mark.parametrize("statistic", sorted({*STATISTICS} - {"saturated"}))
def test_merged_ranks_are_one_process(tmp_path: Path, ranks: int, statistic: str) -> None:
    run = distributed(tmp_path / "many", ranks)
    alone = Writer(tmp_path / "one")
    for index in range(130):
        alone.put(step(index, whole(index), SERIES))
    alone.close()
    single = open_recording(tmp_path / "one")
    for quantity in ("value", "gradient", "output"):
        merged, expected = (each.matrix(quantity, statistic) for each in (run, single))
        assert merged.nodes == expected.nodes
        np.testing.assert_allclose(merged.values, expected.values, rtol=2e-6, atol=1e-6)
    assert run.ranks == tuple(range(ranks))


def test_differences_between_ranks_can_be_seen(tmp_path: Path) -> None:
    run = distributed(tmp_path, 2)
    norms = [run.matrix("gradient", rank=rank).values for rank in (0, 1)]
    expected = np.linalg.norm(part(whole(7), 1, 2)[SHARD])
    assert norms[1][7, 0] == pytest.approx(expected, rel=1e-6)
    assert not np.allclose(*norms)
    assert run.scalar("loss", rank=1)[1].tolist() == [1.0] * 130
    assert run.scalar("loss")[1].tolist() == [0.0] * 130


def test_a_whole_without_one_of_its_parts_is_not_known(tmp_path: Path) -> None:
    run = distributed(tmp_path, 2, [130, 60])
    assert run.steps.tolist() == list(range(130))
    gradient, value = run.matrix("gradient").values, run.matrix("value").values
    assert np.isfinite(gradient[:60]).all()
    assert np.isnan(gradient[60:]).all()
    assert np.isfinite(value).all()


def test_replicas_are_read_from_any_rank_that_has_them(tmp_path: Path) -> None:
    run = distributed(tmp_path, 2, [60, 130])
    assert np.isfinite(run.matrix("value").values).all()


def test_nan_on_one_rank_shows_in_the_whole(tmp_path: Path) -> None:
    for rank, array in enumerate(([1.0, 2.0], [np.nan, 2.0])):
        writer = Writer(tmp_path, rank=rank)
        writer.put(step(0, {SHARD: np.array(array)}, (SHARD,)))
        writer.close()
    run = open_recording(tmp_path)
    assert np.isnan(run.matrix("gradient").values).all()
    assert run.matrix("gradient", "nonfinite").values.tolist() == [[1.0]]
    finite = run.numbers("gradient", ["sumsq"], Span()).fields["sumsq"]
    assert finite[0, 0] == pytest.approx(3.0)


def test_histograms_of_parts_add_up(tmp_path: Path) -> None:
    found = distributed(tmp_path, 2).histograms("fc.weight", "gradient")
    assert found.steps.tolist() == list(range(0, 130, 10))
    expected = [histogram(whole(index)[SHARD]) for index in range(0, 130, 10)]
    assert (found.counts == np.array(expected)).all()


def test_a_series_that_only_one_rank_has(tmp_path: Path) -> None:
    late = Series("head.weight", "gradient", scope="head", spread="parts")
    for rank, series in enumerate(((SHARD,), (SHARD, late))):
        writer = Writer(tmp_path, rank=rank)
        for index in range(3):
            writer.put(step(index, {each: np.ones(4) for each in series}, series))
        writer.close()
    found = open_recording(tmp_path).matrix("gradient")
    assert found.nodes == ("fc.weight", "head.weight")
    np.testing.assert_allclose(found.values, [[np.sqrt(8), 2.0]] * 3, rtol=1e-6)


def test_every_field_has_its_way_to_merge() -> None:
    assert set(MERGE) == set(FIELDS)


def test_a_rank_that_has_not_begun_to_write(tmp_path: Path) -> None:
    run = distributed(tmp_path, 2)
    (tmp_path / "rank00002.sqlite").touch()
    assert run.ranks == (0, 1, 2)
    assert len(run.steps) == 130
    assert np.isfinite(run.matrix("gradient").values).all()
    assert run.state == "finished"
