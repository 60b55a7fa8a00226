"""Whether what is measured on a device is what is measured on the host.

The functions for tensors on a device take those of the CPU as well.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gradtrace_torch import remote
from gradtrace_torch.recording.afar import exponents_of, row_afar
from gradtrace_torch.recording.reductions import binned, histogram, measure

EXTREMES = [0.0, -0.0, 1e-45, 1e-38, -1e-30, 3e30, -3e38, math.inf, -math.inf, math.nan]

TENSORS = {
    "float32": torch.randn(300) * 10,
    "float64": torch.randn(300, dtype=torch.float64) * 1e-3,
    "bfloat16": torch.randn(300).bfloat16(),
    "float16": torch.randn(300).half(),
    "transposed": torch.randn(20, 15).T,
    "strided": torch.randn(40, 15)[::2],
    "expanded": torch.randn(20, 1).expand(20, 15),
    "channels last": torch.randn(2, 3, 5, 4).to(memory_format=torch.channels_last),
    "one": torch.ones(1),
    "a number": torch.tensor(-3.0),
    "one expanded": torch.tensor(-3.0).expand(7, 9, 2),
    "extreme": torch.tensor(EXTREMES * 5),
    "infinite": torch.full((7,), math.inf),
    "invalid": torch.full((7,), math.nan),
}


def numbers(row: tuple[object, ...]) -> list[float]:
    """Return the numbers of a row as they are read."""
    found = [float(cell) for cell in row]  # type: ignore[arg-type]
    if found[3] > found[4]:
        found[3] = found[4] = math.nan
    return found


@pytest.mark.parametrize("part", [4, 2**22])
@pytest.mark.parametrize("x", TENSORS.values(), ids=list(TENSORS))
def test_statistics_are_those_of_the_host(
    x: Tensor, part: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "_PART", part)
    ends = (-1.0, 1.0)
    found = numbers(row_afar(x, extremes=True, zeros=True, ends=ends))
    expected = measure(x.double(), extremes=True, ends=ends)
    assert expected is not None
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
    few = numbers(row_afar(x, extremes=False, zeros=False, ends=None))
    for place, number in enumerate(few):
        assert math.isnan(number) or number == found[place]


@pytest.mark.parametrize("part", [4, 2**22])
@pytest.mark.parametrize("x", TENSORS.values(), ids=list(TENSORS))
def test_histograms_are_those_of_the_host(
    x: Tensor, part: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "_PART", part)
    found, expected = binned(exponents_of(x).numpy()), histogram(x)
    np.testing.assert_array_equal(found, np.asarray(expected))
    assert found.sum() == (~x.isnan()).sum()


@given(st.lists(st.floats(width=32), min_size=1, max_size=9), st.integers(1, 5))
@settings(deadline=None)
def test_summaries_of_any_numbers(given: list[float], part: int) -> None:
    before, remote._PART = remote._PART, part
    try:
        total, norm, low, high, bad = remote.numbers_of(torch.tensor(given))
    finally:
        remote._PART = before
    x = np.array(given, dtype=np.float32).astype(np.float64)
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(float(norm), np.linalg.norm(x), rtol=1e-9)
        np.testing.assert_allclose(float(total), x.sum(), rtol=1e-9, atol=1e-9 * abs(x).max())
        np.testing.assert_array_equal([float(low), float(high)], [x.min(), x.max()])
    assert int(bad) == (~np.isfinite(x)).sum()
