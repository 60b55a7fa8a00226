"""Plain NumPy code, traced unchanged: with arrays it computes what it computes with ndarrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

import gradtrace_numpy as gn
from tests.numpy.draws import spread

A = spread(np.random.default_rng(0), (3, 4))
V = spread(np.random.default_rng(1), (4,))
S = spread(np.random.default_rng(2), (3, 3)) + 4 * np.eye(3)


def network(x: Any) -> Any:
    hidden = np.maximum(0, x @ x.T + 0.1)
    return 1 / (1 + np.exp(-hidden.mean(axis=0, keepdims=True)))


def convolution(x: Any) -> Any:
    windows = sliding_window_view(x, (2, 2))
    return np.einsum("hwij,ij->hw", windows, np.array([[1.0, -1.0], [0.5, 2.0]]))


# fmt: off
CASES: list[tuple[Callable[..., Any], Any]] = [
    (lambda x: 1 / (1 + np.exp(-x)), A), (lambda x: np.maximum(0, x), A), (network, A),
    (lambda x: np.where(x > 0, x, 0.1 * x), A), (convolution, A),
    (lambda x: 2 - x, A), (lambda x: 2**x, A), (lambda x: x // 1 + x % 1.0, A), (lambda x: abs(-x), A), (lambda x: +x, A),
    (lambda x: np.ones((2, 3)) @ x, A), (lambda x: V * x, A), (lambda x: V - x, A), (lambda x: V / x, A), (lambda x: x.dot(V), A),
    (lambda x: np.outer(x, V), V), (lambda x: np.dot(x, V), V), (lambda x: np.inner(x, x), A), (lambda x: np.vdot(x, x), A),
    (lambda x: np.dot(x, 3.0), A), (lambda x: np.tensordot(x, x, axes=((0,), (0,))), A),
    (lambda x: np.einsum("ij,j->i", x, V), A), (lambda x: np.einsum("ij,kj", x, x), A),
    (lambda x: np.sum(x), A), (lambda x: np.sum(x, 1), A), (lambda x: x.sum(axis=-1, keepdims=True), A), (lambda x: np.mean(x, axis=(0, 1)), A),
    (lambda x: x.max(axis=0), A), (lambda x: np.min(x), A), (lambda x: x.prod(0), A), (lambda x: x.std(), A), (lambda x: np.var(x, axis=1, ddof=1), A),
    (lambda x: np.ptp(x, axis=0), A), (lambda x: np.linalg.norm(x), A), (lambda x: np.linalg.norm(x, axis=1), A), (lambda x: np.cumsum(x, axis=1), A),
    (lambda x: x.cumsum(), A), (lambda x: np.cumprod(x, 0), A), (np.add.reduce, A), (lambda x: np.maximum.reduce(x, axis=1), A), (np.add.accumulate, A), (lambda x: np.multiply.outer(x, V), A), (lambda x: np.subtract.outer(V, x), A),
    (lambda x: x.T, A), (lambda x: x.transpose(1, 0), A), (lambda x: x.reshape(2, 6), A), (lambda x: x.reshape((-1,)), A), (lambda x: np.reshape(x, 12), A),
    (lambda x: x.ravel(), A), (lambda x: x.flatten(), A), (lambda x: np.expand_dims(x, 1).squeeze(1), A), (lambda x: np.swapaxes(x, 0, 1), A),
    (lambda x: np.moveaxis(x, 0, 1), A), (lambda x: np.flip(x, 1), A), (np.flipud, A), (np.fliplr, A), (np.rot90, A), (lambda x: np.roll(x, 2, axis=1), A),
    (lambda x: np.repeat(x, 2, axis=0), A), (lambda x: np.tile(x, (2, 1)), A), (lambda x: np.broadcast_to(x, (2, 3, 4)), A), (lambda x: np.pad(x, 1), A),
    (lambda x: x[0], A), (lambda x: x[:, 1:3], A), (lambda x: x[..., None], A), (lambda x: x[::-1, 0], A), (lambda x: x[[0, 0, 2]], A),
    (lambda x: x[np.array([0, 0, 2])], A), (lambda x: x[x > 0], A), (lambda x: x[np.arange(3), [1, 1, 0]], A), (lambda x: x[np.array([True, False, True])], A),
    (lambda x: np.take(x, [1, 1], axis=1), A), (lambda x: np.take(x, 5), A), (lambda x: np.take_along_axis(x, np.argsort(x, axis=1), axis=1), A),
    (lambda x: np.sort(x, axis=0), A), (np.sort, A), (lambda x: np.diff(x, axis=1), A), (lambda x: np.diff(x, n=2), A), (lambda x: np.tril(x), S), (lambda x: np.triu(x, 1), S),
    (np.diag, S), (np.diag, V), (lambda x: np.diag(x, -1), V), (lambda x: np.diagonal(x, 1), S), (np.trace, S), (lambda x: x.trace(), S),
    (lambda x: np.concatenate([x, x * 2], axis=1), A), (lambda x: np.concatenate([x, x], axis=None), A), (lambda x: np.stack([x, V * x], axis=-1), A),
    (lambda x: np.vstack([x, V]), A), (lambda x: np.hstack([x, x]), A), (lambda x: np.column_stack([x, np.ones(3)]), A), (lambda x: np.append(x, 1.0), V),
    (lambda x: np.average(x, axis=0, weights=[1.0, 2.0, 3.0]), A), (lambda x: np.average(x, weights=np.abs(x)), A), (np.average, A), (np.round, A),
    (lambda x: np.round(x, 1), A), (np.copy, A),
    *((lambda x, m=m: np.convolve(x, [1.0, -2.0, 0.5], m), V) for m in ("full", "same", "valid")), (lambda x: np.convolve(x[:2], x, "same"), V),
    *((lambda x, m=m: np.correlate(x, [1.0, -2.0, 0.5], m), V) for m in ("full", "same", "valid")), (lambda x: np.correlate(x[:2], x, "full"), V),
    (lambda x: np.convolve(x, [1.0, 2.0], "same"), V), (lambda x: np.correlate(x, [1.0, 2.0], "same"), V), (lambda x: np.correlate(x[:2], x, "same"), V),
    (lambda x: np.split(x, 2, axis=1)[1], A), (lambda x: np.array_split(x, 2)[0], A), (lambda x: np.atleast_2d(x), V),
    (lambda x: sliding_window_view(x, 2, axis=-1), A), (lambda x: sliding_window_view(x, (2, 2), axis=(-1, 0)), A),
    (lambda x: np.take_along_axis(x, np.array([[1, 0]]), axis=1), A), (lambda x: np.take_along_axis(x, np.array([0, 5, 5]), axis=None), A),
    (lambda x: np.take(x, np.argmax(x, axis=0), axis=0), A), (lambda x: np.repeat(x, [1, 0, 2], axis=0), A), (lambda x: np.repeat(x, [1, 0, 2, 1]), V),
    *((lambda x, m=m: np.pad(x, (1, 2), mode=m), A) for m in ("edge", "reflect", "symmetric", "wrap")), (lambda x: np.pad(x, 1, constant_values=2.0), A),
    (lambda x: np.sort(x, axis=0, kind="stable"), A), (lambda x: np.power.outer(np.abs(x), [1.0, 2.0]), V), (lambda x: x[[[0, 1], [1, 1]]], A), (lambda x: x[[]], A),
    *((lambda x, p=p: np.linalg.norm(x, ord=p), V) for p in (1, 2, 3, np.inf, -np.inf)), (lambda x: np.linalg.norm(x, 1, axis=0), A), (lambda x: np.linalg.norm(x, "fro"), A),
    (lambda x: np.clip(x, min=-1, max=1) if np.lib.NumpyVersion(np.__version__) >= "2.1.0" else x.clip(-1, 1), A), (lambda x: x.clip(min=0), A),
    (lambda x: np.clip(V, x - 0.3, x + 0.2), V + 0.1), (lambda x: np.clip(V, x + 0.1, x - 0.2), V), (lambda x: np.clip(V, None, x), V + 0.1),
    (lambda x: np.hsplit(x, 2)[1], A), (lambda x: np.hsplit(x, 2)[0], V), (lambda x: np.vsplit(x, 3)[2], A), (lambda x: np.dsplit(x[None], 2)[1], A),
    *((lambda x, n=n, i=i, s=s: np.meshgrid(x, x[:2], x, indexing=i, sparse=s)[n], V) for n in range(3) for i in ("xy", "ij") for s in (True, False)),
    (lambda x: x.mT, A), (lambda x: np.matrix_transpose(x), A), (lambda x: x.copy() + x.round(1) + x.conj(), A), (lambda x: np.full_like(x, x[0, 0]), A),
    (lambda x: np.where((x > 0) ^ (x < 0.5), x, 0.0), A), (lambda x: np.logical_or.reduce(x > 0) * x, A), (lambda x: x.astype(float, copy=False), A),
    (lambda x: np.add.reduce(x, 1, None, None, True), A),
    (lambda x: np.clip(x, -1, 1), A), (lambda x: x.clip(0), A), (lambda x: np.linalg.inv(x), S), (lambda x: np.linalg.det(x), S),
    (lambda x: np.linalg.solve(x, np.ones(3)), S), (lambda x: np.matmul(x, x), S), (lambda x: sum(row * row for row in x), A),
    (lambda x: np.sqrt(np.square(x) + 1), A), (lambda x: np.log1p(np.abs(x)), A), (lambda x: np.hypot(x, 1.0), A), (lambda x: np.float_power(np.abs(x), 1.5), A),
]
FREE: list[Callable[..., Any]] = [
    lambda x: x > 0, lambda x: (x > 0) & (x < 1), lambda x: ~(x >= 1), lambda x: x == x, lambda x: x != 0, lambda x: np.logical_or(x > 0, x < -1),
    lambda x: x.argmax(axis=1), lambda x: np.argsort(x, axis=0), np.isnan, lambda x: (x > 0).any(), lambda x: (x > 9).all(axis=0), np.isfinite,
    np.shape, np.ndim, np.size, len, np.zeros_like, np.ones_like, lambda x: np.full_like(x, 2.0), lambda x: np.allclose(x, x), lambda x: np.array_equal(x, x),
    lambda x: np.isclose(x, x), lambda x: np.count_nonzero(x > 0), lambda x: x.tolist(), lambda x: x[0, 0].item(), lambda x: float(x[0, 0]),
    lambda x: f"{x[0, 0]:.3f}", lambda x: bool(x[0, 0] > 0), lambda x: x.shape, lambda x: x.dtype, lambda x: np.where(x > 0), lambda x: np.searchsorted(np.arange(3.0), x),
    lambda x: [1, 2, 3][(x > 0).sum() % 3],
]
# fmt: on


@pytest.mark.parametrize("number", range(len(CASES)))
def test_values_are_those_of_numpy(number: int) -> None:
    function, x = CASES[number]
    expected, found = function(x), function(gn.array(x))
    assert isinstance(found, gn.Array)
    assert found.shape == np.shape(expected)
    assert found.dtype == np.asarray(expected).dtype
    np.testing.assert_allclose(found.data, expected, rtol=1e-14)


@pytest.mark.parametrize("number", range(len(CASES)))
def test_gradients_are_those_of_the_definition(number: int) -> None:
    function, x = CASES[number]
    assert gn.check_gradient(function, x)


@pytest.mark.parametrize("number", range(len(FREE)))
def test_what_has_no_gradient_is_that_of_numpy(number: int) -> None:
    expected, found = FREE[number](A), FREE[number](gn.array(A))
    parts = found if isinstance(found, tuple) else (found,)
    assert not any(isinstance(part, gn.Array) and part.differentiable for part in parts)
    plain = [part.data if isinstance(part, gn.Array) else part for part in parts]
    for one, other in zip(
        plain, expected if isinstance(found, tuple) else (expected,), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_functions_of_others_find_the_protocol() -> None:
    def of_a_library(x: Any) -> Any:
        return np.exp(x - np.max(x, axis=-1, keepdims=True))

    assert gn.check_gradient(of_a_library, A)


def test_masks_are_operands_through_which_nothing_flows() -> None:
    x = gn.array(A)
    mask = x > 0
    assert not mask.differentiable
    chosen = x[mask]
    assert chosen.call is not None
    assert chosen.call.operands[1] is mask
    np.sum(chosen).backward()
    np.testing.assert_array_equal(x.grad, A > 0)


def test_what_an_array_shows() -> None:
    assert repr(gn.array([1.0, 2.0], name="w")) == "Array([1., 2.], name='w')"
    assert repr(np.exp(gn.array(0.0))) == "Array(1., op='exp')"
    with pytest.raises(TypeError, match="a single number, which has no elements"):
        iter(gn.array(1.0))
