"""Whether tensors on a GPU are measured rightly, in little memory and few kernels."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

import gradtrace
from gradtrace_torch.remote import numbers_of
from tests.torch.devices import DEVICE, launches, needs_device, peak_memory

pytestmark = needs_device


def summarized(x: Tensor) -> gradtrace.Summary:
    """Return the summary of `x` as an operand."""
    with gradtrace.trace() as graph:
        x.clone()
    summary: gradtrace.Summary = graph.nodes["x"]["value"]
    assert summary.device == str(DEVICE)
    return summary


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.int32])
@pytest.mark.parametrize("size", [3, 5000])
def test_summaries_on_the_device(dtype: torch.dtype, size: int) -> None:
    x = (torch.randn(size) * 50).to(dtype)
    found = summarized(x.to(DEVICE))
    wide = x.double().numpy()
    assert found.norm == pytest.approx(np.linalg.norm(wide), rel=1e-6)
    assert found.mean == pytest.approx(wide.mean(), rel=1e-5, abs=1e-6)
    assert found.std == pytest.approx(wide.std(), rel=1e-5)
    assert (found.min, found.max, found.nonfinite) == (wide.min(), wide.max(), 0)


@pytest.mark.parametrize("value", [1e30, 1e-30, 0.0, math.inf, math.nan])
def test_extreme_numbers_on_the_device(value: float) -> None:
    x = torch.full((5000,), 1e-3 if math.isfinite(value) else 1.0)
    x[100:] = value
    found = summarized(x.to(DEVICE))
    if math.isfinite(value):
        assert found.norm == pytest.approx(np.linalg.norm(x.double().numpy()), rel=1e-12)
        assert found.nonfinite == 0
    else:
        assert found.nonfinite == 4900
        assert str(found.norm) == str(found.max) == str(value)


@pytest.mark.parametrize("expanded", [False, True])
def test_peak_memory(expanded: bool) -> None:
    x = torch.randn(2**24, requires_grad=True, device=DEVICE)

    def step() -> None:
        x.grad = None
        y = x
        for _ in range(4):
            y = y.tanh()
        y.backward(torch.ones((), device=DEVICE).expand(len(y)) if expanded else torch.ones_like(y))

    step()
    with peak_memory() as untraced:
        step()
    with peak_memory() as peak:
        with gradtrace.trace() as graph:
            step()
        assert not graph.check().failed
    assert peak[0] <= 1.10 * untraced[0] + 2**26, (peak, untraced)


@pytest.mark.skipif(DEVICE is not None and DEVICE.type == "cuda", reason="needs the pretended one")
def test_a_reduction_starts_few_kernels() -> None:
    x = torch.randn(5000).to(DEVICE)
    before = launches()
    numbers_of(x)
    assert launches() - before <= 6
