"""What the engine says to those who use it in a way that cannot work."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradtrace_numpy as gn
from gradtrace.errors import GradtraceError, OptionError


def x() -> gn.Array:
    return gn.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], name="x")


def backward_twice() -> None:
    loss = np.sum(x() ** 2)
    loss.backward()
    loss.backward()


def backward_through_freed() -> None:
    h = np.exp(x())
    np.sum(h).backward()
    np.sum(h * h).backward()


def replaced_elements() -> None:
    w = x()
    loss = np.sum(w * w)
    w.data = w.data + 1
    loss.backward(create_graph=True)


@gn.primitive()
def bare(x: Any) -> Any:
    return x**2


@gn.primitive(lambda u, y, x: u[:2])
def short(x: Any) -> Any:
    return x**2


@gn.primitive
def naked(x: Any) -> Any:
    return x**2


def store_row() -> None:
    out = np.zeros((2, 3))
    out[0] = x()[0]


def assign(key: Any) -> None:
    x()[key] = 1.0


def plus_equals() -> None:
    w = x()
    w += 1.0


CASES: dict[str, tuple[type[Exception], str, Callable[[], Any]]] = {
    "shapes of matmul": (
        gn.ShapeError,
        "matmul cannot take operands of these shapes: x1 (2, 3), x2 (2, 3); matmul: ",
        lambda: x() @ x(),
    ),
    "shapes of add": (
        gn.ShapeError,
        "add cannot take operands of these shapes: x1 (2, 3), x2 (2,)",
        lambda: x() + np.ones(2),
    ),
    "shapes of linear": (
        gn.ShapeError,
        "linear cannot take operands of these shapes: input (2, 3), weight (4, 2)",
        lambda: gn.linear(x(), np.ones((4, 2))),
    ),
    "shapes of conv2d": (
        gn.ShapeError,
        "input is (samples, channels, height, width) with 3 channels here",
        lambda: gn.conv2d(gn.array(np.ones((1, 2, 4, 4))), np.ones((1, 3, 2, 2))),
    ),
    "mse that would broadcast": (
        gn.ShapeError,
        "an input of shape (3, 1) and a target of shape (3,) would be broadcast",
        lambda: gn.mse(gn.array(np.ones((3, 1))), np.ones(3)),
    ),
    "targets that are no classes": (
        gn.ShapeError,
        "targets are class numbers, integers from 0 to 2",
        lambda: gn.cross_entropy(x(), np.array([0, 3])),
    ),
    "index out of range": (
        gn.ShapeError,
        "getitem cannot take operands of these shapes: a (2, 3); index 5 is out of bounds",
        lambda: x()[5],
    ),
    "no seed": (
        gn.BackwardError,
        "backward() from x of shape (2, 3) needs a seed",
        lambda: x().backward(),
    ),
    "a seed that does not fit": (
        gn.BackwardError,
        "a seed of shape (3,) does not fit x of shape (2, 3)",
        lambda: x().backward(np.ones(3)),
    ),
    "backward twice": (
        gn.BackwardError,
        "a backward pass has already gone through this call of sum, and what it had saved is "
        "freed; pass keep_graph=True to the first pass",
        backward_twice,
    ),
    "backward through a freed part": (
        gn.BackwardError,
        "a backward pass has already gone through this call of exp",
        backward_through_freed,
    ),
    "gradients of integers": (
        gn.BackwardError,
        "steps of int64 has no gradient, for only floats vary smoothly",
        lambda: gn.array([1, 2], dtype="int64", name="steps", differentiable=True),
    ),
    "backward from integers": (
        gn.BackwardError,
        "integers and booleans have no gradient; compute it from arrays of floats",
        lambda: np.sum(gn.array([1, 2])).backward(),
    ),
    "backward from nothing differentiable": (
        gn.BackwardError,
        "was made by exp from nothing differentiable",
        lambda: np.exp(x().detach()[0, 0]).backward(),
    ),
    "backward from a constant": (
        gn.BackwardError,
        "was made as not differentiable",
        lambda: gn.array(1.0, differentiable=False).backward(),
    ),
    "a derivative that does not exist": (
        gn.NoDerivativeError,
        "bare has no derivative for its operand 'x'",
        lambda: np.sum(bare(x())).backward(),
    ),
    "a function without rule": (
        gn.NoDerivativeError,
        "np.fft has no rule in gradtrace_numpy; write it in functions that have one, add it with "
        "@gradtrace_numpy.primitive",
        lambda: np.fft.fft(x()),
    ),
    "a method without rule": (
        gn.NoDerivativeError,
        "np.subtract.reduce has no rule",
        lambda: np.subtract.reduce(x()),
    ),
    "an argument without rule": (
        gn.NoDerivativeError,
        "sum(…, dtype=…) has no rule in gradtrace_numpy; it takes a, axis, keepdims",
        lambda: np.sum(x(), dtype=np.float32),
    ),
    "a norm without rule": (
        gn.ShapeError,
        "only the Euclidean norm has a rule, not ord=1",
        lambda: np.linalg.norm(x(), ord=1),
    ),
    "a pullback of another shape": (
        gn.ShapeError,
        "the pullback of short gives a share of shape (2,) for its operand 'x', whose shape is (3",
        lambda: np.sum(short(gn.array(np.ones(3)))).backward(),
    ),
    "@primitive without pullbacks": (
        OptionError,
        "@primitive is given the pullbacks before the function",
        lambda: naked(x()),
    ),
    "replaced elements": (
        gn.NoDerivativeError,
        "the elements of x of shape (2, 3) were replaced since multiply used it",
        replaced_elements,
    ),
    "elements overwritten": (
        gn.InPlaceError,
        "elements of x of shape (2, 3) cannot be overwritten",
        lambda: assign((0, 1)),
    ),
    "in-place operator": (gn.InPlaceError, "make a new array: x = x + …", plus_equals),
    "out=": (
        gn.InPlaceError,
        "np.add(…, out=…) would overwrite elements",
        lambda: np.add(x(), 1.0, out=np.ones((2, 3))),
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
    "an optimizer of nothing": (
        gn.BackwardError,
        "an optimizer needs differentiable arrays",
        lambda: gn.SGD({"ids": gn.array([1, 2])}),
    ),
    "a kind that does not exist": (
        OptionError,
        "kind='weight' is not an option; use one of 'input', 'parameter'",
        lambda: gn.array(1.0, kind="weight"),
    ),
    "a reduction that does not exist": (
        OptionError,
        "reduction='max' is not an option",
        lambda: gn.mse(x(), x(), reduction="max"),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_error_teaches(name: str) -> None:
    error, message, misuse = CASES[name]
    with pytest.raises(error, match=re.escape(message)) as raised:
        misuse()
    assert isinstance(raised.value, GradtraceError)


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


def test_a_pass_that_fails_adds_no_gradient() -> None:
    w = x()
    with pytest.raises(gn.NoDerivativeError):
        (np.sum(w) + np.sum(bare(w))).backward()
    assert w.grad is None


def test_what_is_written_to_an_ndarray_later_changes_no_gradient() -> None:
    w, batch = gn.array([1.0, 2.0]), np.array([3.0, 4.0])
    loss = np.sum(w * batch)
    batch[:] = 0.0
    loss.backward()
    assert w.grad.tolist() == [3.0, 4.0]
