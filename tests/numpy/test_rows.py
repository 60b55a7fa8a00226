"""Every row of the table against the definition of a derivative."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

import gradtrace_numpy as gn
from gradtrace_numpy.calls import Call
from gradtrace_numpy.checking import STEP
from gradtrace_numpy.primitive import Primitive
from tests.numpy.draws import Problem
from tests.numpy.problems import CONSTANT, DRAWS, problems

ROWS = sorted(DRAWS)

Rows = pytest.mark.parametrize("name", ROWS)


def call_of(row: Primitive, problem: Problem) -> Call:
    arrays = [gn.array(x) if isinstance(x, np.ndarray) else x for x in problem.operands]
    made = row(*arrays, **problem.arguments)
    call = (made[0] if isinstance(made, tuple) else made).call
    assert call is not None
    return call


def tangents(call: Call, rng: np.random.Generator) -> dict[int, Any]:
    return {
        position: rng.standard_normal(np.shape(x))
        for position, x in enumerate(call.inputs)
        if isinstance(x, np.ndarray) and x.dtype.kind == "f"
    }


def upstream(call: Call, rng: np.random.Generator) -> list[Any]:
    return [rng.standard_normal(data.shape) for data in call.outputs]


def product(left: Any, right: Any) -> float:
    """Return ⟨left, right⟩ of arrays, or of tuples of them."""
    if isinstance(left, list | tuple):
        return sum(product(a, b) for a, b in zip(left, right, strict=True))
    return float(np.sum(left * right))


def size(value: Any) -> float:
    return float(np.sqrt(product(value, value)))


def require_transposed(row: Primitive, problem: Problem, rng: np.random.Generator) -> None:
    """Require ⟨pullback(u), v⟩ = ⟨u, pushforward(v)⟩ for every operand."""
    call = call_of(row, problem)
    u = upstream(call, rng)
    for position, v in tangents(call, rng).items():
        pulled, pushed = call.pull(position, u), call.push(position, v)
        pushed = pushed if call.several else (pushed,)
        scale = size(pulled) * size(v) + size(u) * size(pushed)
        assert abs(product(pulled, v) - product(u, pushed)) <= 1e-12 * scale + 1e-14


def require_differences(row: Primitive, problem: Problem, rng: np.random.Generator) -> None:
    """Require pushforward(v) = (f(x + hv) − f(x − hv)) / 2h for every operand."""
    call = call_of(row, problem)
    for position, v in tangents(call, rng).items():
        ends = []
        for step in (STEP, -STEP):
            moved = list(call.inputs)
            moved[position] = moved[position] + step * v
            made = row.forward(*moved, **problem.arguments)
            ends.append(made if call.several else (made,))
        pushed = call.push(position, v)
        for part, high, low in zip(pushed if call.several else (pushed,), *ends, strict=True):
            expected = (high - low) / (2 * STEP)
            np.testing.assert_allclose(
                part, expected, rtol=1e-6, atol=2e-8 * max(1, size(expected))
            )


@Rows
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_pullback_is_the_transpose_of_the_pushforward(name: str, data: st.DataObject) -> None:
    require_transposed(gn.table[name], data.draw(problems(name)), np.random.default_rng(1))


@Rows
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_pushforward_is_what_central_differences_say(name: str, data: st.DataObject) -> None:
    require_differences(gn.table[name], data.draw(problems(name)), np.random.default_rng(2))


@Rows
@settings(max_examples=5, deadline=None)
@given(data=st.data())
def test_gradients_are_what_central_differences_say(name: str, data: st.DataObject) -> None:
    problem = data.draw(problems(name))
    gn.check_gradient(_flat(gn.table[name], problem), *problem.operands)


@Rows
@settings(max_examples=3, deadline=None)
@given(data=st.data())
def test_gradients_of_gradients_are_too(name: str, data: st.DataObject) -> None:
    problem = data.draw(problems(name))
    row = _flat(gn.table[name], problem)

    def slopes(*operands: Any) -> Any:
        """Return the gradient, as a function of the operands, weighted and added up."""
        result = row(*operands)
        weights = np.cos(np.arange(result.size).reshape(result.shape))
        wanted = [x for x in operands if x.differentiable]
        found = gn.gradients(np.sum(np.sin(0.1 * result) * weights), wanted, create_graph=True)
        return sum((np.sum(np.tanh(each)) for each in found), start=gn.array(0.0))

    gn.check_gradient(slopes, *problem.operands, tolerance=2e-6)


def _flat(row: Primitive, problem: Problem) -> Any:
    """Return the row as a function of its operands, several results joined."""

    def call(*operands: Any) -> Any:
        made = row(*operands, **problem.arguments)
        if isinstance(made, tuple):
            return np.concatenate([np.ravel(part) for part in made])
        return made

    return call


def test_every_row_has_a_problem() -> None:
    assert set(ROWS) | set(CONSTANT) == set(gn.table)
    assert not set(ROWS) & set(CONSTANT)


def test_every_operand_of_floats_has_both_rules() -> None:
    held = {("where", "condition"), ("embedding", "input"), ("cross_entropy", "target")}
    for name in ROWS:
        row = gn.table[name]
        count = 1 if row.variadic else len(row.operands)
        for position in range(count):
            if (name, row.operands[position]) not in held:
                assert row.pullbacks[position] is not None
                assert row.pushforwards[position] is not None


# -- the checkers are checked ----------------------------------------------------------------------


def planted(name: str, **wrong: Any) -> Primitive:
    row = gn.table[name]
    rules = {"pullbacks": row.pullbacks, "pushforwards": row.pushforwards, **wrong}
    return Primitive(name=name, forward=row.forward, variadic=row.variadic, **rules)


PROBLEM = Problem((np.array([[0.5, -1.0], [1.5, 0.2]]), np.array([0.3, 1.2])))


def test_the_dot_product_test_catches_a_wrong_pullback() -> None:
    multiply = gn.table["multiply"]
    wrong = planted("multiply", pullbacks=(lambda u, y, a, b: u * a, multiply.pullbacks[1]))
    with pytest.raises(AssertionError):
        require_transposed(wrong, PROBLEM, np.random.default_rng(0))


def test_the_difference_test_catches_a_wrong_pushforward() -> None:
    divide = gn.table["divide"]
    wrong = planted("divide", pushforwards=(divide.pushforwards[0], lambda t, y, a, b: t * y / b))
    with pytest.raises(AssertionError):
        require_differences(wrong, PROBLEM, np.random.default_rng(0))


QUICK = settings(phases=[Phase.generate], deadline=None)


@pytest.mark.parametrize("name", [name for name in ROWS if gn.table[name].structure != "zero"])
def test_a_wrong_pullback_of_any_row_is_caught(name: str) -> None:
    row, random = gn.table[name], np.random.default_rng(0)

    def passes(problem: Problem) -> bool:
        """Tell whether a gradient comes back at all."""
        rng = np.random.default_rng(0)
        call = call_of(row, problem)
        u = upstream(call, rng)
        return any(size(call.pull(position, u)) > 1e-3 for position in tangents(call, rng))

    def off(rule: Any) -> Any:
        return rule and (lambda *args, **kw: 1.01 * rule(*args, **kw))

    wrong = planted(name, pullbacks=tuple(map(off, row.pullbacks)))
    with pytest.raises(AssertionError):
        require_transposed(wrong, find(problems(name), passes, settings=QUICK), random)


def test_a_rule_wrong_in_both_directions_is_caught_by_differences() -> None:
    def rule(v: Any, y: Any, a: Any, b: Any) -> Any:
        return v * b * 1.001

    multiply = gn.table["multiply"]
    second = multiply.pullbacks[1]
    wrong = planted("multiply", pullbacks=(rule, second), pushforwards=(rule, second))
    require_transposed(wrong, PROBLEM, np.random.default_rng(0))
    with pytest.raises(AssertionError):
        require_differences(wrong, PROBLEM, np.random.default_rng(0))
