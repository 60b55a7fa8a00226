"""What the engine says to those who use it in a way that cannot work."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradtrace_numpy as gn
from gradtrace.errors import OptionError
from tests.numpy.misuse import Case, assert_teaches, x


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


CASES: dict[str, Case] = {
    "shapes of matmul": (
        gn.ShapeError,
        "matmul cannot take operands of these shapes: x1 (2, 3), x2 (2, 3); the axis that is "
        "summed over has 3 elements in one, 2 in the other",
        lambda: x() @ x(),
    ),
    "shapes of add": (
        gn.ShapeError,
        "add cannot take operands of these shapes: x1 (2, 3), x2 (2,)",
        lambda: x() + np.ones(2),
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
        "np.fft.fft has no rule in gradtrace_numpy; write it in functions that have one, add it "
        "with @gradtrace_numpy.primitive",
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
    "parts that overlap": (
        gn.ShapeError,
        "indices are in order: each element is in one part, not as in [2, 1]",
        lambda: np.split(x(), [2, 1], axis=1),
    ),
    "too many arguments": (
        gn.NoDerivativeError,
        "sum(…, more arguments) has no rule in gradtrace_numpy; it takes a, axis, keepdims",
        lambda: np.sum(x(), 0, None, None, True, 0.0),
    ),
    "an argument of a function made of others": (
        gn.NoDerivativeError,
        "np.diff has a rule in gradtrace_numpy for a, n, axis only: got an unexpected keyword",
        lambda: np.diff(x(), prepend=0.0),
    ),
    "a norm without rule": (
        gn.NoDerivativeError,
        "np.linalg.norm(…, ord=1) has no rule in gradtrace_numpy; of matrices it has one for 'fro'",
        lambda: np.linalg.norm(x(), ord=1),
    ),
    "padding without rule": (
        gn.NoDerivativeError,
        "np.pad(…, mode='mean') has no rule in gradtrace_numpy; 'constant', 'edge', ",
        lambda: np.pad(x(), 1, mode="mean"),
    ),
    "the order of Fortran": (
        gn.NoDerivativeError,
        "np.reshape(…, order='F') has no rule in gradtrace_numpy, only order='C' has",
        lambda: x().reshape(-1, order="F"),
    ),
    "einsum without letters": (
        gn.NoDerivativeError,
        "np.einsum has a rule for letters only, such as 'ij,jk->ik'",
        lambda: np.einsum(x(), [0, 1], [1, 0]),
    ),
    "complex numbers": (
        gn.NoDerivativeError,
        "multiply made complex128 of differentiable arrays, and only real numbers have derivatives",
        lambda: x() + np.abs(x() * 1j),
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
    "parts that are not equal": (
        gn.ShapeError,
        "split cannot divide axis 1 of an array of shape (2, 3) into 2 equal parts; np.array_split",
        lambda: np.split(x(), 2, axis=1),
    ),
    "an array of no numbers": (
        gn.BackwardError,
        "an array of <U3 holds no numbers",
        lambda: gn.array("abc"),
    ),
    "gradients of no array": (
        gn.BackwardError,
        "the output is float, no Array",
        lambda: gn.gradients(float(np.sum(x())), [x()]),
    ),
    "gradients by integers": (
        gn.BackwardError,
        "steps of shape (2,) holds int64: integers and booleans have no gradient",
        lambda: gn.gradients(np.sum(x()), [gn.array([1, 2], name="steps")]),
    ),
    "gradients by no list": (
        OptionError,
        "gradients takes a list of inputs: gradients(output, [x])",
        lambda: gn.gradients(np.sum(x()), x()),
    ),
    "a check of several results": (
        OptionError,
        "the function returns 2 results, and one is checked at a time; return one of them",
        lambda: gn.check_gradient(lambda x: np.split(x, 2), [1.0, 2.0]),
    ),
    "a check of integers": (
        OptionError,
        "there is nothing to check: the operands are int64, and only floats have gradients",
        lambda: gn.check_gradient(lambda x: x * 2.0, [1, 2]),
    ),
    "a kind that does not exist": (
        OptionError,
        "kind='weight' is not an option; use one of 'input', 'parameter'",
        lambda: gn.array(1.0, kind="weight"),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_error_teaches(name: str) -> None:
    assert_teaches(CASES[name])


def test_a_pass_that_fails_adds_no_gradient() -> None:
    w = x()
    with pytest.raises(gn.NoDerivativeError):
        (np.sum(w) + np.sum(bare(w))).backward()
    assert w.grad is None


def test_attributes_of_an_ndarray_that_an_array_has_not() -> None:
    with pytest.raises(AttributeError, match=r"or x\.data\.flat where the trace is meant to end"):
        _ = x().flat
    with pytest.raises(AttributeError, match="an Array has no attribute 'foo'"):
        _ = x().foo
    assert not hasattr(x(), "__array_interface__")
