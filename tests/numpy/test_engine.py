"""Backward passes, and the ways to ask for them."""

from __future__ import annotations

import copy
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch

import gradtrace_numpy as gn


def test_gradients_add_up_over_uses_and_passes() -> None:
    x = gn.array(3.0)
    y = x * x + x
    y.backward(keep_graph=True)
    assert x.grad == 7.0
    y.backward()
    assert x.grad == 14.0


def test_every_array_on_the_way_knows_its_gradient() -> None:
    x = gn.array([1.0, 2.0])
    h = x * 3.0
    loss = np.sum(h * h)
    loss.backward()
    assert h.grad.tolist() == [6.0, 12.0]
    assert loss.grad == 1.0
    h.grad *= 0
    assert x.grad.tolist() == [18.0, 36.0]


def test_gradients_do_not_share_memory() -> None:
    x, y = gn.array([1.0]), gn.array([2.0])
    (x + y).backward()
    x.grad *= 5.0
    assert y.grad.tolist() == [1.0]


def test_a_seed_weights_the_results() -> None:
    x = gn.array([1.0, 2.0, 3.0])
    (x * x).backward([1.0, 0.0, 2.0])
    assert x.grad.tolist() == [2.0, 0.0, 12.0]


def test_gradients_of_gradients() -> None:
    x = gn.array(2.0)
    (first,) = gn.gradients(x**4, [x], create_graph=True)
    (second,) = gn.gradients(first, [x], create_graph=True)
    (third,) = gn.gradients(second, [x])
    assert (float(first), float(second), float(third)) == (32.0, 48.0, 48.0)
    assert x.grad is None


def test_a_gradient_penalty_trains() -> None:
    x = gn.array([1.0, 2.0])
    np.sum(x**3).backward(create_graph=True)
    penalty = np.sum(x.grad**2)
    x.grad = None
    penalty.backward()
    np.testing.assert_allclose(x.grad, 36 * np.array([1.0, 8.0]))


def test_gradients_of_what_does_not_matter_are_zero() -> None:
    x, y = gn.array([1.0, 2.0]), gn.array(1.0)
    found = gn.gradients(np.sum(x), [x, y])
    assert [each.tolist() for each in found] == [[1.0, 1.0], 0.0]


def test_no_gradient_flows_through_what_is_detached() -> None:
    x = gn.array(3.0)
    (x * x.detach()).backward()
    assert x.grad == 3.0


def test_types_are_kept() -> None:
    x = gn.array([1.0, 2.0], dtype=np.float32)
    y = np.mean(gn.sigmoid(x * 0.5) @ np.array([1.0, 2.0], np.float32))
    assert y.dtype == np.float32
    y.backward()
    assert x.grad.dtype == np.float32
    wide = x.astype(np.float64)
    np.sum(wide * np.array([1.0, 2.0])).backward()
    assert wide.grad.dtype == np.float64
    assert x.grad.dtype == np.float32


def test_losses_and_dropout_keep_types_too() -> None:
    x = gn.array([[0.5, 2.0]], dtype=np.float32)
    assert gn.cross_entropy(x, np.array([1])).dtype == np.float32
    assert gn.dropout(x, 0.5).dtype == np.float32


def test_integers_are_arrays_without_gradient() -> None:
    x, n = gn.array([1.0, 2.0]), gn.array([1, 2])
    assert not n.differentiable
    np.sum(x**n).backward()
    assert x.grad.tolist() == [1.0, 4.0]
    assert n.grad is None


def test_parts_of_a_split_that_are_not_used_pass_nothing_back() -> None:
    x = gn.array([1.0, 2.0, 3.0, 4.0])
    first, _ = np.split(x, 2)
    np.sum(first * first).backward()
    assert x.grad.tolist() == [2.0, 4.0, 0.0, 0.0]


def test_a_copy_is_an_array_of_its_own() -> None:
    x = gn.parameter([1.0, 2.0], name="w")
    for twin in (copy.copy(x), copy.deepcopy({"w": x * 1.0})["w"]):
        np.sum(twin * x).backward()
        assert twin.grad.tolist() == x.grad.tolist() == [1.0, 2.0]
        x.grad = None
    assert (copy.copy(x).kind, copy.copy(x).name) == ("parameter", "w")


def test_a_share_may_be_a_plain_number() -> None:
    steep = gn.primitive(lambda u, y, x: 3.0)(lambda x: x * 1.0)
    x, row = gn.array(1.0), gn.array([1.0, 2.0])
    (steep(x) + np.sum(steep(row))).backward()
    assert x.grad == 3.0
    assert row.grad.tolist() == [3.0, 3.0]


# fmt: off
KINKS: list[tuple[Any, Any, float]] = [
    (lambda x: np.maximum(x, 0.0), lambda x: torch.maximum(x, torch.zeros(())), 0.0),
    (gn.relu, torch.relu, 0.0),
    (lambda x: gn.leaky_relu(x, 0.1), lambda x: torch.nn.functional.leaky_relu(x, 0.1), 0.0),
    (np.abs, torch.abs, 0.0),
    (lambda x: x**2, lambda x: x**2, 0.0),
    (lambda x: x**0, lambda x: x**0, 0.0),
    (lambda x: np.linalg.norm(x[None]), lambda x: torch.linalg.vector_norm(x[None]), 0.0),
    (lambda x: np.std(np.stack([x, x])), lambda x: torch.stack([x, x]).std(correction=0), 1.0),
    (lambda x: np.fmax(x, np.nan), lambda x: torch.fmax(x, torch.tensor(np.nan)), 2.0),
    (lambda x: np.clip(x, 0.0, 1.0), lambda x: torch.clip(x, 0.0, 1.0), 1.0),
    (lambda x: np.max(np.stack([x, 2 * x, x])), lambda x: torch.stack([x, 2 * x, x]).amax(), 0.0),
    (lambda x: np.prod(np.stack([x, x + 3])), lambda x: torch.stack([x, x + 3]).prod(), 0.0),
]
# fmt: on


@pytest.mark.parametrize("number", range(len(KINKS)))
def test_at_a_kink_the_slope_is_that_of_torch(number: int) -> None:
    ours, theirs, at = KINKS[number]
    x, tensor = gn.array(at), torch.tensor(at, dtype=torch.float64, requires_grad=True)
    ours(x).backward()
    theirs(tensor).backward()
    assert tensor.grad is not None
    assert x.grad == tensor.grad.item()


def test_a_singular_matrix_is_numpys_own_error() -> None:
    with pytest.raises(np.linalg.LinAlgError, match="Singular matrix"):
        np.linalg.inv(gn.array(np.ones((2, 2))))


def test_an_operation_of_ones_own() -> None:
    @gn.primitive(
        lambda u, y, x, *, power: u * power * x ** (power - 1),
        formulas=["power * x**(power - 1)"],
    )
    def monomial(x: Any, *, power: int) -> Any:
        return x**power

    x = gn.array([1.0, 2.0])
    np.sum(monomial(x, power=3)).backward()
    assert x.grad.tolist() == [3.0, 12.0]
    assert gn.check_gradient(lambda x: monomial(x, power=3), [0.5, 1.5])
    assert monomial(2.0, power=3) == 8.0
    assert str(monomial.formula(0)) == "power*x**(power - 1)"


DEEP = """
import time, gradtrace, gradtrace_numpy as gn

def steps(count):
    x = y = gn.array(1.0)
    start = time.process_time()
    for _ in range(count):
        y = y * 1.00001
    y.backward()
    assert abs(x.grad - 1.00001**count) < 1e-6
    return time.process_time() - start

steps(1_000)
short, long = min(steps(10_000) for _ in range(3)), min(steps(50_000) for _ in range(3))
assert long < 8 * short, (short, long)

z = gn.array(1.0)
for _ in range(50_000):
    z = z + 1.0
del z  # a chain that no backward pass has freed

with gradtrace.trace() as graph:
    x = y = gn.array(1.0)
    for _ in range(50_000):
        y = y * 1.00001
    y.backward()
assert len(graph) == len(graph.check().passed) == 50_001
"""


@pytest.mark.slow
def test_50_000_chained_calls_are_no_deeper_than_one() -> None:
    done = subprocess.run([sys.executable, "-c", DEEP], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# -- the check of gradients ------------------------------------------------------------------------


def test_the_check_says_which_operand_is_wrong_and_by_how_much() -> None:
    @gn.primitive(lambda u, y, a, b: u * b, lambda u, y, a, b: 1.5 * u * a)
    def times(a: Any, b: Any) -> Any:
        return a * b

    with pytest.raises(gn.GradientCheckError) as raised:
        gn.check_gradient(times, [1.0, 2.0], [3.0, 5.0])
    lines = str(raised.value).splitlines()
    assert lines[0] == "the derivative of times is wrong:"
    assert lines[1].startswith("a: right (relative error ")
    assert lines[2].startswith("b: wrong by 0.33 relative; at b[")
    outcome = gn.check_gradient(times, [1.0, 2.0], [3.0, 5.0], raises=False)
    assert not outcome
    assert [each.ok for each in outcome.operands] == [True, False]
    wrong = outcome.operands[1]
    assert wrong.found == pytest.approx(1.5 * wrong.expected)


def test_the_check_of_a_scalar_shows_its_gradient() -> None:
    wrong = gn.primitive(lambda u, y, x: u * x)(lambda x: x**2)
    outcome = gn.check_gradient(lambda x: np.sum(wrong(x)), [1.0, 3.0], raises=False).operands[0]
    assert (outcome.found, outcome.expected) == (3.0, pytest.approx(6.0))


def test_the_check_finds_a_gradient_that_is_lost() -> None:
    with pytest.raises(gn.GradientCheckError, match=r"x: wrong by 0\.5 relative"):
        gn.check_gradient(lambda x: np.sum(x * x.data), [1.0, 2.0])
    with pytest.raises(gn.GradientCheckError, match="x: wrong by 1 relative"):
        gn.check_gradient(lambda x: x.data * 2.0, [1.0, 2.0])


def test_the_check_finds_nan() -> None:
    with pytest.raises(gn.GradientCheckError, match="x: wrong by inf"):
        gn.check_gradient(gn.primitive(lambda u, y, x: u * np.nan)(lambda x: x * 1.0), [1.0])


def test_the_check_holds_integers_and_takes_any_shape() -> None:
    outcome = gn.check_gradient(lambda i, w: w[i] ** 2, np.array([0, 0, 1]), np.ones((2, 3)))
    assert [each.operand for each in outcome.operands] == ["w"]
    assert outcome.error < 1e-9
    assert gn.check_gradient(lambda x: x * 2.0, np.ones((0, 2)))
