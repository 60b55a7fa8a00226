"""Elements that would be overwritten, or leave the trace unseen: each is refused, and says why."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

import gradtrace_numpy as gn
from tests.numpy.misuse import Case, assert_teaches, x


def store_row() -> None:
    out = np.zeros((2, 3))
    out[0] = x()[0]


def assign(key: Any) -> None:
    x()[key] = 1.0


def plus_equals() -> None:
    w = x()
    w += 1.0


CASES: dict[str, Case] = {
    "elements overwritten": (
        gn.InPlaceError,
        "elements of x of shape (2, 3) cannot be overwritten",
        lambda: assign((0, 1)),
    ),
    "elements overwritten by a function": (
        gn.InPlaceError,
        "np.copyto would overwrite elements that the backward pass may need; make a new array",
        lambda: np.copyto(np.zeros((2, 3)), x()),
    ),
    "elements overwritten by a method": (
        gn.InPlaceError,
        "sort() of x of shape (2, 3) would overwrite elements",
        lambda: x().sort(),
    ),
    "elements added at places": (
        gn.InPlaceError,
        "np.add.at would overwrite elements",
        lambda: np.add.at(np.zeros((2, 3)), [0], x()[0]),
    ),
    "in-place operator": (gn.InPlaceError, "make a new array: x = x + …", plus_equals),
    "out=": (
        gn.InPlaceError,
        "np.add(…, out=…), or an operator such as out += x, would overwrite elements",
        lambda: np.add(x(), 1.0, out=np.ones((2, 3))),
    ),
    "out= of a function": (
        gn.InPlaceError,
        "np.dot(…, out=…) would overwrite elements",
        lambda: np.dot(x(), np.ones(3), out=np.ones(2)),
    ),
    "an ndarray += an array": (
        gn.InPlaceError,
        "or an operator such as out += x, would overwrite elements that the backward pass may "
        "need; make a new array, such as out = out + x",
        lambda: operator.iadd(np.zeros((2, 3)), x()),
    ),
    "elements of another shape": (
        gn.InPlaceError,
        "it keeps its shape (2, 3)",
        lambda: setattr(x(), "data", np.ones(3)),
    ),
    "np.asarray": (
        gn.LeavesTraceError,
        "x of shape (2, 3) would drop out of the trace here, and its gradient with it",
        lambda: np.asarray(x()),
    ),
    "np.array of several": (
        gn.LeavesTraceError,
        "np.stack to put several into one",
        lambda: np.array([gn.array([1.0]), gn.array([2.0])]),
    ),
    "a row stored in an ndarray": (gn.LeavesTraceError, "would drop out of the trace", store_row),
    "a masked array": (
        gn.LeavesTraceError,
        "x of shape (2, 3) would drop out of the trace here",
        lambda: np.ma.masked_array(np.ones((2, 3)), False) * x(),
    ),
    "np.asarray of what has no gradient": (
        gn.LeavesTraceError,
        "steps of shape (2,) would drop out of the trace here: a function asked for a plain",
        lambda: np.asarray(gn.array([1, 2], name="steps")),
    ),
    "a function of math": (
        gn.LeavesTraceError,
        "and its gradient with it: math.exp takes and returns plain numbers",
        lambda: math.exp(x()[0, 0]),
    ),
    "a number of NumPy": (
        gn.LeavesTraceError,
        "an Array of shape () would drop out of the trace here",
        lambda: np.float64(x()[0, 0]),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_error_teaches(name: str) -> None:
    assert_teaches(CASES[name])


def test_a_number_is_not_stored_in_an_ndarray_silently() -> None:
    out, number = np.zeros(2), gn.array(1.0)
    with pytest.raises(ValueError, match="setting an array element") as raised:
        out[0] = number
    assert isinstance(raised.value.__cause__, gn.LeavesTraceError)
    assert "it is written to an element of an ndarray. Use NumPy" in str(raised.value.__cause__)
    out[0] = number.item()
    out[1] = float(number)
    assert out.tolist() == [1.0, 1.0]


def test_data_is_read_only() -> None:
    w = x()
    with pytest.raises(ValueError, match="read-only"):
        w.data[0] = 1.0
    assert w.data[0, 0] == 1.0


def test_scalars_may_be_added_up_as_in_numpy() -> None:
    w, total = gn.array([1.0, 2.0]), gn.array(0.0)
    for element in w:
        total += element * element
    total.backward()
    assert w.grad.tolist() == [2.0, 4.0]


def test_what_is_written_to_an_ndarray_later_changes_no_gradient() -> None:
    w, batch = gn.array([1.0, 2.0]), np.array([3.0, 4.0])
    loss = np.sum(w * batch)
    batch[:] = 0.0
    loss.backward()
    assert w.grad.tolist() == [3.0, 4.0]


def test_what_it_views_changes_no_gradient_either() -> None:
    w, image = gn.array([1.0, 2.0]), np.arange(3.0)
    loss = np.sum(sliding_window_view(image, 2) @ w)
    image[:] = 0.0
    loss.backward()
    assert w.grad.tolist() == [1.0, 3.0]


def test_nor_the_list_that_chose_elements() -> None:
    w, chosen = gn.array([1.0, 2.0, 3.0]), [0, 0]
    loss = np.sum(w[chosen] ** 2)
    chosen[0] = 2
    loss.backward()
    assert w.grad.tolist() == [4.0, 0.0, 0.0]


def test_nor_does_it_where_the_gradient_is_traced() -> None:
    w, batch = gn.array([1.0, 2.0]), np.array([3.0, 4.0])
    loss = np.sum(w**2 * batch)
    batch[:] = 0.0
    loss.backward(create_graph=True)
    assert w.grad.tolist() == [6.0, 16.0]


def test_numbers_may_be_asked_for_by_name() -> None:
    w = gn.array(2.0)
    assert not math.isnan(w)
    assert math.floor(w) == 2
    assert (float(w), w.item(), f"{w:.1f}", list(map(float, [w]))) == (2.0, 2.0, "2.0", [2.0])


def test_what_an_operation_of_ones_own_returns_stays_ones_own() -> None:
    table = np.array([1.0, 2.0])
    looked_up = gn.primitive(lambda u, y, x: 0.0 * u)(lambda x: table)
    assert looked_up(gn.array([3.0, 4.0])).data is not table
    table[0] = 5.0
