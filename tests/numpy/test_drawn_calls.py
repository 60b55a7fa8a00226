"""NumPy's freest functions on drawn arguments: keys, subscripts, axes of windows and of reading."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, basic_indices, integer_array_indices
from numpy.lib.stride_tricks import sliding_window_view

import gradtrace_numpy as gn
from tests.numpy.draws import spread

SMALL = array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=3)

drawn = settings(max_examples=60, deadline=None)


def numbers(shape: tuple[int, ...]) -> Any:
    return spread(np.random.default_rng(0), shape)


def require_numpy(function: Any, *operands: Any) -> None:
    """Require the values of NumPy, and the gradients of their definition."""
    expected, found = function(*operands), function(*map(gn.array, operands))
    assert found.shape == np.shape(expected)
    np.testing.assert_allclose(found.data, expected, rtol=1e-12, atol=1e-14)
    gn.check_gradient(function, *operands)


@drawn
@given(data=st.data(), shape=SMALL)
def test_basic_keys(data: st.DataObject, shape: tuple[int, ...]) -> None:
    key = data.draw(basic_indices(shape, allow_newaxis=True))
    require_numpy(lambda x: x[key], numbers(shape))


@drawn
@given(data=st.data(), shape=SMALL)
def test_keys_of_arrays(data: st.DataObject, shape: tuple[int, ...]) -> None:
    arrays = data.draw(integer_array_indices(shape))
    kept = data.draw(st.integers(1, len(shape)))
    key = tuple(part if i < kept else slice(None) for i, part in enumerate(arrays))
    require_numpy(lambda x: x[key], numbers(shape))


@drawn
@given(data=st.data())
def test_subscripts(data: st.DataObject) -> None:
    sides = {letter: data.draw(st.integers(1, 3), label=letter) for letter in "abc"}
    terms = data.draw(st.lists(st.text("abc", max_size=3), min_size=1, max_size=3))
    letters = sorted(set("".join(terms)))
    kept = data.draw(st.permutations([x for x in letters if data.draw(st.booleans(), label=x)]))
    arrow = f"->{''.join(kept)}" if data.draw(st.booleans(), label="arrow") else ""
    operands = [numbers(tuple(sides[letter] for letter in term)) for term in terms]
    require_numpy(lambda *xs: np.einsum(",".join(terms) + arrow, *xs), *operands)


@drawn
@given(data=st.data(), shape=SMALL)
def test_axes_of_windows(data: st.DataObject, shape: tuple[int, ...]) -> None:
    rank = len(shape)
    chosen = data.draw(st.permutations(range(rank)))[: data.draw(st.integers(1, rank))]
    axes = [axis - rank if data.draw(st.booleans()) else axis for axis in chosen]
    window = [data.draw(st.integers(1, shape[axis])) for axis in axes]
    require_numpy(lambda x: sliding_window_view(x, window, axis=axes), numbers(shape))


@drawn
@given(data=st.data(), shape=SMALL)
def test_reading_along_an_axis(data: st.DataObject, shape: tuple[int, ...]) -> None:
    rank = len(shape)
    axis = data.draw(st.integers(-rank, rank - 1))
    sides = [data.draw(st.sampled_from([1, side])) for side in shape]
    sides[axis] = data.draw(st.integers(1, 4))
    places = np.random.default_rng(1).integers(0, shape[axis], sides)
    require_numpy(lambda x: np.take_along_axis(x, places, axis=axis), numbers(shape))
