"""Whether the numbers in the graph are right: summaries, gains and local derivatives."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import gradtrace
from gradtrace.errors import DerivativeError

FLOATS = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
COMPLEX = [torch.complex64, torch.complex128]
INTEGERS = [torch.int8, torch.uint8, torch.int32, torch.int64, torch.bool]
DTYPES = [*FLOATS, *COMPLEX, *INTEGERS]

TOLERANCE = {torch.float32: 2e-5, torch.float16: 2e-5, torch.bfloat16: 2e-5, torch.complex64: 2e-5}
"""Relative error of sums that are formed in float32; 1e-9 elsewhere."""

STATISTICS = ("norm", "mean", "std", "min", "max", "nonfinite", "zeros")


def expected_statistics(tensor: Tensor) -> dict[str, float]:
    """Return the statistics as NumPy finds them in float64."""
    wider = tensor.detach().to(torch.complex128 if tensor.is_complex() else torch.float64)
    wide = wider.resolve_conj().resolve_neg().numpy()
    x = np.abs(wide) if tensor.is_complex() else wide
    with np.errstate(all="ignore"):
        largest = np.abs(x).max()
        scale = largest if 0 < largest < math.inf else 1.0
        return {
            "norm": float(np.sqrt(((x / scale) ** 2).sum()) * scale),
            "mean": float(x.mean()),
            "std": float(x.std()),
            "min": float(x.min()),
            "max": float(x.max()),
            "nonfinite": int((~np.isfinite(x)).sum()),
            "zeros": int((x == 0).sum()),
        }


def value_of(tensor: Tensor, keep: str) -> gradtrace.Summary:
    """Return the summary of `tensor` as the operand of a call."""
    with gradtrace.trace(keep=keep) as graph:
        torch.atleast_1d(tensor).clone()
    (leaf,) = (d for d in graph.nodes.values() if d["kind"] in ("input", "constant"))
    summary: gradtrace.Summary = leaf["value"]
    return summary


def assert_summarized(summary: gradtrace.Summary, tensor: Tensor) -> None:
    """Compare each statistic that was computed with NumPy's."""
    expected = expected_statistics(tensor)
    relative = TOLERANCE.get(tensor.dtype, 1e-9)
    assert summary.shape == tuple(tensor.shape)
    assert summary.dtype == str(tensor.dtype).removeprefix("torch.")
    assert summary.nonfinite == expected["nonfinite"]
    assert summary.zeros in (None, expected["zeros"])
    assert (summary.zeros is None) <= (tensor.numel() > 1024)
    if expected["nonfinite"]:
        assert not all(map(math.isfinite, (summary.norm, summary.mean, summary.min, summary.max)))
        return
    spread = expected["norm"] / math.sqrt(tensor.numel())
    for name in ("norm", "min", "max"):
        assert getattr(summary, name) == pytest.approx(expected[name], rel=relative, abs=1e-300)
    assert summary.mean == pytest.approx(expected["mean"], abs=relative * spread + 1e-300)
    rough = math.sqrt(relative) * spread  # of running sums
    loose = rough if summary.array is None and tensor.numel() > 1024 else relative * spread
    assert summary.std == pytest.approx(expected["std"], rel=relative, abs=loose + 1e-300)


def filled(shape: tuple[int, ...], dtype: torch.dtype, scale: float, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    if dtype is torch.bool:
        return torch.rand(shape, generator=generator) > 0.5
    if not (dtype.is_floating_point or dtype.is_complex):
        low = 0 if dtype is torch.uint8 else -50
        return torch.randint(low, 100, shape, generator=generator).to(dtype)
    wide = torch.complex128 if dtype.is_complex else torch.float64
    return (torch.randn(shape, generator=generator, dtype=wide) * scale).to(dtype)


shapes = st.lists(st.integers(1, 12), max_size=4).map(tuple) | st.sampled_from(
    [(1023,), (1024,), (1025,), (32, 32), (33, 32), (3, 700), (50, 3, 20), (20_000,)]
)


@given(
    shape=shapes,
    dtype=st.sampled_from(DTYPES),
    scale=st.sampled_from([1.0, 1e-3, 1e3]),
    seed=st.integers(0, 100),
    keep=st.sampled_from(["summary", "small", "all"]),
)
@settings(max_examples=150, deadline=None)
def test_summaries_agree_with_numpy(
    shape: tuple[int, ...], dtype: torch.dtype, scale: float, seed: int, keep: str
) -> None:
    tensor = filled(shape, dtype, scale, seed)
    assert_summarized(value_of(tensor, keep), tensor)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("scale", [1e-30, 1e-20, 1e20, 1e30])
@pytest.mark.parametrize("size", [7, 1024, 5000])
@pytest.mark.parametrize("keep", ["summary", "all"])
def test_squares_neither_underflow_nor_overflow(
    dtype: torch.dtype, scale: float, size: int, keep: str
) -> None:
    tensor = filled((size,), dtype, scale, 0)
    assert_summarized(value_of(tensor, keep), tensor)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("dtype", [*FLOATS, *COMPLEX])
@pytest.mark.parametrize("size", [7, 5000])
def test_what_is_not_finite_is_counted_and_shows(bad: float, dtype: torch.dtype, size: int) -> None:
    tensor = filled((size,), dtype, 1.0, 0)
    tensor[3] = tensor[-1] = bad
    summary = value_of(tensor, "summary")
    assert summary.nonfinite == 2
    assert not math.isfinite(summary.norm)
    assert_summarized(summary, tensor)
    assert "nonfinite=2" in repr(summary)


@pytest.mark.parametrize("size", [6, 200])
@pytest.mark.parametrize(
    "change",
    [
        lambda x: x.t(),
        lambda x: x[:, ::2],
        lambda x: x[1:, 1:],
        lambda x: x[:1].expand(5, -1),
        lambda x: x.flip(0),
        lambda x: x.unsqueeze(0).permute(2, 0, 1),
        lambda x: torch.view_as_complex(x.reshape(-1, 2)).conj(),
        lambda x: torch.view_as_complex(x.reshape(-1, 2)).conj().imag,
    ],
    ids=["transposed", "strided", "offset", "expanded", "flipped", "permuted", "conj", "neg"],
)
def test_layouts_make_no_difference(change: Any, size: int) -> None:
    tensor = change(filled((size, size), torch.float64, 1.0, 0))
    for keep in ("summary", "all"):
        summary = value_of(tensor, keep)
        assert_summarized(summary, tensor)
        if keep == "all":
            np.testing.assert_array_equal(
                summary.array, tensor.resolve_conj().resolve_neg().numpy()
            )


@pytest.mark.parametrize("size", [10, 3000])
def test_upstream_gradients_are_summarized_alike(size: int) -> None:
    x = filled((size,), torch.float64, 1.0, 0).requires_grad_()
    seed = filled((size,), torch.float64, 1.0, 1)
    with gradtrace.trace() as graph:
        y = x.exp()
        y.backward(seed)
    assert_summarized(graph.nodes["x"]["upstream_gradient"], x.grad)
    assert_summarized(graph.nodes["exp"]["upstream_gradient"], seed)
    assert_summarized(graph.edges["x", "exp", 0]["downstream_gradient"], x.grad)


def test_keep_says_what_is_kept() -> None:
    x, w = torch.ones(1024, requires_grad=True), torch.ones(1025, requires_grad=True)

    def kept(keep: str) -> list[bool]:
        with gradtrace.trace(keep=keep) as graph:
            (x.sum() + w.sum()).backward()
        found = [graph.nodes[n]["value"].array is not None for n in ("x", "w", "sum")]
        same = [graph.nodes[n]["upstream_gradient"].array is not None for n in ("x", "w", "sum")]
        assert found == same
        return found

    assert kept("summary") == [False, False, False]
    assert kept("small") == [True, False, True]
    assert kept("all") == [True, True, True]


@pytest.mark.parametrize("derivatives", ["gain", "norm", "exact"])
def test_gains_are_ratios_of_norms(derivatives: str) -> None:
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3)), torch.randn(4, 6)
    with gradtrace.trace(model, keep="all", derivatives=derivatives) as graph:
        x = x.requires_grad_()
        parts = model(x).split(1, dim=1)
        (parts[0] * parts[2]).sum().backward()
    compared = 0
    for operand, result, edge in graph.edges(data=True):
        downstream, upstream = edge["downstream_gradient"], graph.nodes[result]["upstream_gradient"]
        parts = upstream if isinstance(upstream, tuple) else (upstream,)
        before = math.sqrt(sum((part.array**2).sum() for part in parts if part is not None))
        after = np.linalg.norm(downstream.array)
        assert edge["local_derivative"].gain == pytest.approx(after / before, rel=1e-5), operand
        compared += 1
    assert compared == graph.number_of_edges() >= 12


def test_the_estimated_norm_is_near_the_norm() -> None:
    """A softmax has no closed form, so its norm is estimated; that of a product is known."""
    torch.manual_seed(0)
    model, x = nn.Linear(60, 50), torch.randn(20, 60, requires_grad=True)
    with gradtrace.trace(model, derivatives="norm") as rough:
        model(x).softmax(1)[:, 0].sum().backward()
    with gradtrace.trace(model, derivatives="exact", limit=2**22) as exact:
        model(x).softmax(1)[:, 0].sum().backward()
    edges = {
        ("linear", "softmax", 0): True,
        ("input", "linear", 0): False,
        ("weight", "linear", 1): False,
        ("bias", "linear", 2): False,
    }
    for edge, estimated in edges.items():
        norm = rough.edges[edge]["local_derivative"]
        truth = exact.edges[edge]["local_derivative"]
        assert (norm.estimated, truth.estimated) == (estimated, False), edge
        assert norm.norm == pytest.approx(truth.norm, rel=0.3 if estimated else 1e-5), edge


def test_an_operator_has_no_dense_form() -> None:
    x = torch.randn(3, requires_grad=True)
    with gradtrace.trace() as graph:
        x.softmax(0).sum().backward()
    with pytest.raises(DerivativeError, match=r"trace with derivatives='exact'"):
        graph.edges["x", "softmax", 0]["local_derivative"].dense()
