"""Whether the compiled moments are NumPy's, and what happens where they are not compiled."""

from __future__ import annotations

import ctypes
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import gradtrace
import gradtrace_torch.moments as compiled
from gradtrace_torch.moments import build, moments_of, moments_of_many, moments_of_moves
from gradtrace_torch.recording.reductions import measure
from gradtrace_torch.recording.together import measure_all, measure_moves, table_of

TYPES = (torch.float32, torch.float64, torch.bfloat16)
POINTER_AND_SIZE = (ctypes.c_void_p, ctypes.c_size_t)
TOLERANCE = {torch.float32: 1e-6, torch.float64: 1e-13, torch.bfloat16: 1e-6}

needs_compiler = pytest.mark.skipif(build._compiler() is None, reason="needs a C compiler")

needs_library = pytest.mark.skipif(not build.LIBRARY.is_file(), reason="was not compiled")


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


@needs_compiler
def test_it_was_compiled_as_gradtrace_was_installed() -> None:
    assert build.LIBRARY.is_file(), "install it again: pip install -e ."
    assert_moments(moments_of(torch.ones(3)), torch.ones(3))


@needs_library
@given(st.integers(1, 5000), st.sampled_from(TYPES), st.integers(0, 10**6))
@settings(deadline=None, max_examples=150)
def test_moments_are_those_of_numpy(size: int, dtype: torch.dtype, seed: int) -> None:
    x, y = drawn(size, dtype, seed), drawn(size, dtype, seed + 1)
    assert_moments(moments_of(x), x)
    many = moments_of_many([x, y[1:]])
    assert many is not None
    table, read = many
    assert read
    for row, tensor in zip(table.tolist(), (x, y[1:]), strict=True):
        assert_moments(row, tensor)
    moves = moments_of_moves([x, y], [y, y])
    if dtype is torch.bfloat16:
        assert moves is None
    else:
        assert moves is not None
        assert moves[1]
        for row, tensor in zip(moves[0].tolist(), (x, x - y, y, y - y), strict=True):
            assert_moments(row, tensor)


@needs_library
def test_every_layout_is_read_and_no_gap() -> None:
    x = drawn(600, torch.float32, 5).reshape(20, 30)
    assert_moments(moments_of(x.T), x)
    assert_moments(moments_of(x.reshape(2, 3, 10, 10).to(memory_format=torch.channels_last)), x)
    assert_moments(moments_of(x[3:]), x[3:])
    assert moments_of(x[:, ::2]) is None
    assert_moments(moments_of(x[:1].expand(5, 30)), x[:1].expand(5, 30))


@needs_library
@pytest.mark.parametrize("place", [0, 17, 1023, 1024, 5002])
@pytest.mark.parametrize("dtype", TYPES)
def test_moments_are_those_of_numpy_where_squares_fail(dtype: torch.dtype, place: int) -> None:
    huge, tiny = (1e200, 1e-170) if dtype is torch.float64 else (1e30, 1e-30)
    ones, zeros = torch.ones(2, dtype=dtype), torch.zeros(5003, dtype=dtype)
    vanishing = torch.full((5003,), tiny, dtype=dtype)
    tensors = [zeros, vanishing, torch.full((5003,), math.nan, dtype=dtype)]
    for planted in (math.nan, math.inf, -math.inf, huge):
        x = drawn(5003, dtype, 1)
        x[place] = planted
        tensors.append(x)
    alone = zeros.clone()
    alone[place] = tiny
    for x in (*tensors, alone):
        assert_moments(moments_of(x), x)
        many = moments_of_many([x, ones])
        assert many is not None
        for row, tensor in zip(many[0].tolist(), (x, ones), strict=True):
            assert_moments(row, tensor)
        for before in (zeros, x, vanishing):
            moves = moments_of_moves([x, ones], [before, ones])
            if moves is not None:
                assert moves[1]
                expected = (x, x - before, ones, ones - 1)
                for row, tensor in zip(moves[0].tolist(), expected, strict=True):
                    assert_moments(row, tensor)


@needs_library
def test_memory_that_was_freed_is_said_to_be_unknown() -> None:
    gone, empty, here = torch.ones(7), torch.ones(0), torch.ones(3)
    gone.untyped_storage().resize_(0)
    assert moments_of(gone) is None
    assert_moments(moments_of(empty), empty)
    found = moments_of_many([here, gone, empty])
    assert found is not None
    table, read = found
    assert not read
    assert np.isnan(table).all(axis=1).tolist() == [False, True, False]
    assert_moments(table[2].tolist(), empty)
    moves = moments_of_moves([gone, here, torch.ones(7)], [torch.ones(7), here, gone])
    assert moves is not None
    assert not moves[1]
    assert np.isnan(moves[0]).all(axis=1).tolist() == [True, True, False, False, True, True]


@pytest.mark.parametrize("dtype", [torch.float16, torch.int64, torch.bool, torch.complex64])
def test_other_types_take_the_other_way(dtype: torch.dtype) -> None:
    assert moments_of(torch.ones(3, dtype=dtype)) is None
    assert moments_of_many([torch.ones(3, dtype=dtype)]) is None
    assert moments_of_many([]) is None
    assert moments_of_moves([], []) is None


@needs_library
@needs_compiler
def test_results_are_the_same_on_every_processor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = drawn(70_001, torch.float32, 3)
    here = moments_of(x)
    assert here is not None
    monkeypatch.setattr(build, "FLAGS", (*build.FLAGS, "-DPORTABLE"))
    assert build.compile_library(tmp_path / "portable.so")
    monkeypatch.setattr(compiled, "LIBRARY", tmp_path / "portable.so")
    monkeypatch.setattr(compiled, "_moments", compiled._load("moments", *POINTER_AND_SIZE))
    np.testing.assert_array_equal(moments_of(x), here)


def test_it_installs_without_a_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = tmp_path / "moments.so"
    library.write_bytes(b"compiled for another machine")
    monkeypatch.setattr(build, "_compiler", lambda: None)
    assert not build.compile_library(library)
    assert not library.exists()
    monkeypatch.setattr(build, "_compiler", lambda: "/bin/false")
    assert not build.compile_library(library)
    monkeypatch.setattr(compiled, "LIBRARY", library)
    assert compiled._load("moments", *POINTER_AND_SIZE) == {}


SPECIAL = [0.0, -0.0, 1e-45, 1e-38, -1e-30, 3e30, -3e38, math.inf, -math.inf, math.nan]


@pytest.mark.parametrize("fast", [True, False], ids=["compiled", "not compiled"])
@pytest.mark.parametrize("dtype", [*TYPES, torch.float16])
@pytest.mark.parametrize("planted", [[], [3.0, -5.0], SPECIAL], ids=["", "finite", "special"])
def test_rows_are_those_of_numpy(
    planted: list[float], dtype: torch.dtype, fast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not fast:
        for name in ("_moments", "_moments_of_many", "_moments_of_moves"):
            monkeypatch.setattr(compiled, name, {})
    for size in (1, 100, 2**16 + 1):
        x = drawn(size, dtype, 6)
        x = torch.cat([x, torch.tensor(planted).to(dtype)])
        row = measure(x, ends=(-1.0, 1.0))
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
        together = table_of([x, x[:1]])
        alone = [*row[:7], math.nan, row[8]]
        np.testing.assert_array_equal(together[0], alone)
        np.testing.assert_array_equal(measure_all([x, x[:1].long(), x])[2], alone)
        (_, twice), (value, move) = measure_moves([(x, -x), (x, torch.zeros_like(x))])
        np.testing.assert_allclose([value, move], [alone] * 2, rtol=1e-6)
        assert twice is not None
        assert twice[8] == row[8]


@pytest.mark.parametrize("fast", [True, False], ids=["compiled", "not compiled"])
def test_a_trace_says_the_same_either_way(fast: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not fast:
        monkeypatch.setattr(compiled, "_moments", {})
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
