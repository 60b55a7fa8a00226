"""Whether what is compiled measures what NumPy does, and what happens where it is not compiled."""

from __future__ import annotations

import importlib.util
import math
import subprocess
import sys
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import gradtrace
from gradtrace.recording.ledger import Layout, rows_of, slots_of
from gradtrace_torch.compiled import (
    COMPILED,
    Sheet,
    build,
    copy_values,
    measure_moves,
    moments_of,
    turn,
)
from gradtrace_torch.recording.parameter import Parameter
from gradtrace_torch.recording.reductions import measure

TYPES = (torch.float32, torch.float64, torch.bfloat16)
TOLERANCE = {torch.float32: 1e-6, torch.float64: 1e-13, torch.bfloat16: 1e-6}

needs_compiler = pytest.mark.skipif(build._compiler() is None, reason="needs a C compiler")

needs_compiled = pytest.mark.skipif(not COMPILED, reason="was not compiled")


def drawn(size: int, dtype: torch.dtype, seed: int) -> Tensor:
    """Return normal numbers, some of them zero, of any scale and with any mean."""
    source = torch.Generator().manual_seed(seed)
    x = torch.randn(size, generator=source, dtype=torch.float64) + seed % 3
    x[torch.rand(size, generator=source) < 0.2] = 0.0
    return (x * 10.0 ** (seed % 13 - 6)).to(dtype)


def expected_of(tensor: Tensor) -> list[float]:
    """Return what NumPy finds in double precision, in the order of the fields."""
    wide = tensor.double().reshape(-1).numpy()
    x = wide[np.isfinite(wide)]
    with np.errstate(all="ignore"):
        sums = [float(x.sum()), float((x * x).sum())]
    ends = [float(x.min()), float(x.max())] if x.size else [math.nan, math.nan]
    counts = [float((x == 0).sum()), wide.size - x.size, math.nan, np.isnan(wide).sum()]
    return [wide.size, *sums, *ends, *counts]


def assert_moments(found: Any, tensor: Tensor) -> None:
    """Compare moments with NumPy's; a sum may lose what the largest sum could."""
    assert found is not None
    expected, relative = expected_of(tensor), TOLERANCE[tensor.dtype]
    largest = float(tensor.double().nan_to_num(0.0, 0.0, 0.0).abs().sum())
    assert found[1] == pytest.approx(expected[1], abs=relative * largest)
    assert found[2] == pytest.approx(expected[2], rel=relative)
    np.testing.assert_array_equal([found[0], *found[3:]], [expected[0], *expected[3:]])


def assert_sums(found: Any, whole: Any) -> None:
    """Compare the sums alone with those of which all is known; the rest is not computed."""
    assert found is not None
    assert found[0] == whole[0]
    assert found[2] == pytest.approx(whole[2], rel=1e-6)
    largest = math.sqrt(whole[2]) * math.sqrt(whole[0])  # that the sum of the magnitudes can be
    assert found[1] == pytest.approx(whole[1], abs=1e-6 * largest)
    np.testing.assert_array_equal(found[3:], [math.nan] * 3 + [whole[6], math.nan, whole[8]])


def noted(tensor: Tensor, **options: Any) -> list[float]:
    """Return the row of a tensor on a sheet."""
    sheet = Sheet(**options)
    assert sheet.note(0, tensor)
    return rows_of(sheet.turn()[1])[0].tolist()  # type: ignore[no-any-return]


def moved(before: Tensor, now: Tensor) -> dict[str, Any]:
    """Return the rows of a parameter that an optimizer moved, by quantity."""
    parameter = nn.Parameter(before.clone())
    followed = Parameter("weight", parameter, Layout())
    assert not copy_values([followed], large=True)
    parameter.data.copy_(now)
    assert not measure_moves([followed], large=True)
    sheet = Sheet()
    turn([followed], sheet)
    slots, rows = sheet.turn()
    names = {slot: quantity for quantity, slot in followed.slots.items()}
    return {
        names[slot]: row
        for slot, row in zip(slots_of(slots).tolist(), rows_of(rows).tolist(), strict=True)
    }


@needs_compiler
def test_it_was_compiled_as_gradtrace_was_installed() -> None:
    for name in build.NAMES:
        assert build.library_of(name).is_file(), "install it again: pip install -e ."


@needs_compiled
@given(st.integers(1, 5000), st.sampled_from(TYPES), st.integers(0, 10**6))
@settings(deadline=None, max_examples=150)
def test_moments_are_those_of_numpy(size: int, dtype: torch.dtype, seed: int) -> None:
    x, y = drawn(size, dtype, seed), drawn(size, dtype, seed + 1)
    for each in (x, y[1:]):
        assert_moments(moments_of(each), each)
    found = moved(y, x)
    assert_moments(found["value"], x)
    wide = torch.float64 if dtype is torch.float64 else torch.float32
    assert_moments(found["update"], x.to(wide) - y.to(wide))


@needs_compiled
def test_every_layout_is_read_and_no_gap() -> None:
    x = drawn(600, torch.float32, 5).reshape(20, 30)
    assert_moments(moments_of(x.T), x)
    assert_moments(moments_of(x.reshape(2, 3, 10, 10).to(memory_format=torch.channels_last)), x)
    assert_moments(moments_of(x[3:]), x[3:])
    assert_moments(moments_of(x.reshape(20, 1, 30).transpose(0, 1)), x)
    gaps = [x[:, ::2], x[:1].expand(5, 30), x.as_strided((5, 5), (1, 1)), x.as_strided((2,), (7,))]
    assert [moments_of(each) for each in gaps] == [None] * 4


@needs_compiled
@pytest.mark.parametrize("place", [0, 17, 1023, 1024, 5002])
@pytest.mark.parametrize("dtype", TYPES)
def test_moments_are_those_of_numpy_where_squares_fail(dtype: torch.dtype, place: int) -> None:
    huge, tiny = (1e200, 1e-170) if dtype is torch.float64 else (1e30, 1e-30)
    zeros = torch.zeros(5003, dtype=dtype)
    vanishing = torch.full((5003,), tiny, dtype=dtype)
    tensors = [zeros, vanishing, torch.full((5003,), math.nan, dtype=dtype)]
    for planted in (math.nan, math.inf, -math.inf, huge):
        x = drawn(5003, dtype, 1)
        x[place] = planted
        tensors.append(x)
    alone = zeros.clone()
    alone[place] = tiny
    wide = torch.float64 if dtype is torch.float64 else torch.float32
    for x in (*tensors, alone):
        assert_moments(moments_of(x), x)
        assert_sums(noted(x, sums_only=True), moments_of(x))
        for before in (zeros, x, vanishing):
            found = moved(before, x)
            assert_moments(found["value"], x)
            assert_moments(found["update"], x.to(wide) - before.to(wide))


@needs_compiled
def test_memory_that_was_freed_is_not_read() -> None:
    gone, part, empty = torch.ones(7), torch.ones(9)[2:], torch.ones(0)
    gone.untyped_storage().resize_(0)
    part.untyped_storage().resize_(8)
    assert moments_of(gone) is moments_of(part) is None
    assert_moments(moments_of(empty), empty)


@pytest.mark.parametrize("dtype", [torch.float16, torch.int64, torch.bool, torch.complex64])
def test_other_types_take_the_other_way(dtype: torch.dtype) -> None:
    assert moments_of(torch.ones(3, dtype=dtype)) is None


@needs_compiled
def test_a_sheet_reads_a_tensor_once_until_it_is_written_to() -> None:
    sheet, x = Sheet(), torch.tensor([1.0, 3.0])
    sheet.note(7, x, -2.0, 2.0)
    sheet.note(8, x)
    x.data[0] = 5.0  # no version counts it: proof that it was not read again
    sheet.note(9, x)
    x.add_(1.0)
    sheet.note(9, x)
    slots, rows = (read(part) for read, part in zip((slots_of, rows_of), sheet.turn(), strict=True))
    assert slots.tolist() == [7, 8, 9, 9]
    assert rows[:, 1].tolist() == [4.0, 4.0, 4.0, 10.0]
    np.testing.assert_array_equal(rows[:, 7], [1.0, math.nan, math.nan, math.nan])
    assert sheet.turn() == (b"", b"")


@needs_compiled
def test_a_sheet_keeps_no_tensor_alive_once_it_is_turned() -> None:
    sheet, x = Sheet(), torch.ones(3)
    sheet.note(0, x)
    there = weakref.ref(x)
    sheet.turn()
    del x
    assert there() is None


@needs_compiled
@needs_compiler
def test_results_are_the_same_on_every_processor(tmp_path: Path) -> None:
    assert build.compile_all(tmp_path, flags=("-DPORTABLE",))
    path = build.library_of("memory", tmp_path)
    spec = importlib.util.spec_from_file_location("gradtrace_torch.compiled.memory", path)
    assert spec is not None
    assert spec.loader is not None
    portable = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(portable)
    for dtype in TYPES:
        x = drawn(70_001, dtype, 3)
        assert portable.moments_of is not moments_of
        np.testing.assert_array_equal(
            portable.moments_of(x, low=-1, high=1), moments_of(x, low=-1, high=1)
        )


@needs_compiled
def test_a_pytorch_that_tells_nothing_in_c_is_read_in_python() -> None:
    program = """if True:
        import torch
        torch.Tensor.__dlpack_c_exchange_api__ = None
        from gradtrace_torch.compiled import COMPILED, moments_of
        assert not COMPILED and moments_of(torch.ones(3)) is None
    """
    subprocess.run([sys.executable, "-c", program], check=True)


def test_it_installs_without_a_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = build.library_of("memory", tmp_path)
    library.write_bytes(b"compiled for another machine")
    monkeypatch.setattr(build, "_compiler", lambda: None)
    assert not build.compile_all(tmp_path)
    assert not library.exists()
    monkeypatch.setattr(build, "_compiler", lambda: "/bin/false")
    assert not build.compile_all(tmp_path)
    assert not list(tmp_path.iterdir())


def not_compiled(tensor: Tensor, **options: Any) -> None:
    """Stand in for `moments_of`."""


SPECIAL = [0.0, -0.0, 1e-45, 1e-38, -1e-30, 3e30, -3e38, math.inf, -math.inf, math.nan]


@pytest.mark.parametrize("fast", [True, False], ids=["compiled", "not compiled"])
@pytest.mark.parametrize("dtype", [*TYPES, torch.float16])
@pytest.mark.parametrize("planted", [[], [3.0, -5.0], SPECIAL], ids=["", "finite", "special"])
def test_rows_are_those_of_numpy(
    planted: list[float], dtype: torch.dtype, fast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not fast:
        monkeypatch.setattr("gradtrace_torch.recording.reductions.moments_of", not_compiled)
    for size in (1, 100, 2**16 + 1):
        x = drawn(size, dtype, 6)
        x = torch.cat([x, torch.tensor(planted).to(dtype)])
        row = measure(x, extremes=True, ends=(-1.0, 1.0))
        assert row is not None
        wide = x.double().numpy()
        finite = wide[np.isfinite(wide)]
        counts = [(finite == 0).sum(), (~np.isfinite(wide)).sum()]
        near = (wide < -1 + 2 / 400).sum() + (wide > 1 - 2 / 400).sum()
        sums = [finite.sum(), (finite**2).sum()]
        assert row[0] == wide.size
        np.testing.assert_allclose(row[1], sums[0], atol=1e-6 * np.abs(finite).sum())
        np.testing.assert_allclose(row[2], sums[1], rtol=1e-6)
        assert list(row[3:5]) == [finite.min(), finite.max()]
        assert list(row[5:]) == [*counts, near, np.isnan(wide).sum()]
        assert_sums(measure(x), row)
        if fast and moments_of(x) is not None:
            assert_sums(noted(x, sums_only=True), row)


@pytest.mark.parametrize("fast", [True, False], ids=["compiled", "not compiled"])
def test_a_trace_says_the_same_either_way(fast: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not fast:
        monkeypatch.setattr("gradtrace_torch.statistics.moments_of", not_compiled)
    x = drawn(50_000, torch.float32, 7).requires_grad_()
    with gradtrace.trace() as graph:
        (x * x).sum().backward()
    value, gradient = (graph.nodes["x"][name] for name in ("value", "upstream_gradient"))
    assert value is not None
    assert gradient is not None
    wide = x.detach().double()
    for summary, expected in ((value, wide), (gradient, 2 * wide)):
        assert summary.norm == pytest.approx(expected.norm().item(), rel=1e-5)
        assert summary.mean == pytest.approx(expected.mean().item(), rel=1e-4)
        assert summary.std == pytest.approx(expected.std(correction=0).item(), rel=1e-4)
        assert (summary.min, summary.max) == (expected.min().item(), expected.max().item())
