"""Whether both engines agree on every problem: values, gradients, Jacobians, graphs."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from gradtrace_numpy import table
from tests.problems import arrays, networks, scalars
from tests.problems.engines import Run, run_numpy, run_torch
from tests.problems.lineup import line_up
from tests.problems.problem import PROBLEMS, Problem

TABLES = (scalars, arrays, networks)

TOLERANCE = 1e-10
"""Largest difference, relative to the largest element."""

APART = {
    "attention": "PyTorch has one call for what NumPy writes as five",
    "recurrent_cell": "PyTorch has one call for a cell",
    "transformer_block": "PyTorch has one call for attention",
    "outer_product": "NumPy's outer makes vectors of its operands first",
    "long_short_term_memory": "PyTorch runs the cell as operations of its own",
}
"""Problems with calls of which the other graph has no like, with the reason."""

every_problem = pytest.mark.parametrize("problem", PROBLEMS.values(), ids=list(PROBLEMS))


@cache
def runs(name: str) -> tuple[Run, Run]:
    return run_numpy(PROBLEMS[name]), run_torch(PROBLEMS[name])


def assert_agree(found: Any, expected: Any, what: str) -> None:
    """Compare two arrays, or two summaries or tuples of them."""
    if isinstance(found, tuple) or isinstance(expected, tuple):
        for left, right in zip(found, expected, strict=True):
            assert_agree(left, right, what)
        return
    left, right = getattr(found, "array", found), getattr(expected, "array", expected)
    assert (left is None) == (right is None), f"{what}: {left} against {right}"
    if right is None:
        return
    assert left.shape == right.shape, f"{what}: shapes {left.shape} and {right.shape}"
    gap = np.abs(left.astype(float) - right.astype(float)).max(initial=0.0)
    assert gap <= TOLERANCE * np.abs(right).max(initial=0.0) + 1e-15, f"{what}: off by {gap:.2g}"


@every_problem
def test_values_and_gradients_agree(problem: Problem) -> None:
    found, expected = runs(problem.name)
    for left, right in zip(found.outputs, expected.outputs, strict=True):
        assert_agree(left, right, "output")
    for left, right in zip(found.gradients, expected.gradients, strict=True):
        assert_agree(left, right, "gradient")
    assert any(np.abs(gradient).max() > 1e-6 for gradient in expected.gradients)


@every_problem
def test_the_chain_rule_holds_in_both(problem: Problem) -> None:
    for run in runs(problem.name):
        check = run.graph.check()
        assert not check.failed, str(check)
        upstream = dict(run.graph.nodes(data="upstream_gradient"))
        reached = {node for node, gradient in upstream.items() if gradient is not None}
        assert reached <= {verdict.node for verdict in check.passed}, str(check)


@every_problem
def test_graphs_line_up_call_by_call(problem: Problem) -> None:
    found, expected = (run.graph for run in runs(problem.name))
    lineup = line_up(found, expected, by_value=problem.name in APART)
    if problem.name in APART:
        assert any(lineup.left), "they line up after all; take it out of the table"
    else:
        assert lineup.left == ([], []), f"calls without their like: {lineup.left}"
        differentiable = {node for node, data in found.nodes(data=True) if data["differentiable"]}
        assert differentiable <= set(lineup.nodes)


@every_problem
def test_nodes_that_correspond_have_the_same_numbers(problem: Problem) -> None:
    found, expected = (run.graph for run in runs(problem.name))
    lineup = line_up(found, expected, by_value=problem.name in APART)
    assert lineup.calls
    for node, like in lineup.nodes.items():
        for attribute in ("value", "upstream_gradient", "seed"):
            numbers = found.nodes[node][attribute], expected.nodes[like][attribute]
            hidden = problem.name in APART and getattr(numbers[1], "norm", 0.0) is None
            if not hidden:  # inside a call that PyTorch takes apart, values are not computed
                assert_agree(*numbers, f"{attribute} of {node}")


@every_problem
def test_edges_that_correspond_have_the_same_jacobians(problem: Problem) -> None:
    found, expected = (run.graph for run in runs(problem.name))
    lineup, compared = line_up(found, expected, by_value=problem.name in APART), 0
    for (node, edge), (_, like) in lineup.edges(found, expected):
        what = f"{edge['operand']} ({node})"
        left, right = edge["local_derivative"], like["local_derivative"]
        assert_agree(left.dense(limit=2**22), right.dense(limit=2**22), f"Jacobian by {what}")
        assert left.norm == pytest.approx(right.norm, rel=TOLERANCE)
        assert_agree(edge["downstream_gradient"], like["downstream_gradient"], f"share of {what}")
        compared += 1
    assert compared


def test_there_are_problems_enough() -> None:
    assert len(PROBLEMS) >= 40
    assert len(TABLES) == 3


def test_a_number_that_is_off_is_seen() -> None:
    numbers = np.array([1.0, 1e6])
    assert_agree(numbers * (1 + 1e-11), numbers, "close")
    with pytest.raises(AssertionError, match="off by 1"):
        assert_agree(numbers + np.array([0.0, 1.0]), numbers, "gradient of w")
    with pytest.raises(AssertionError, match="shapes"):
        assert_agree(numbers, numbers[:1], "gradient of w")


def test_a_rule_that_is_off_by_a_billionth_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    problem, off = PROBLEMS["broadcast_rows"], 1 + 1e-9
    _, expected = runs(problem.name)
    assert_agree(run_numpy(problem).gradients[0], expected.gradients[0], "gradient")
    wrong = lambda upstream, y, x: upstream * (1 - y * y) * off  # noqa: E731
    monkeypatch.setattr(table["tanh"], "pullbacks", (wrong,))
    with pytest.raises(AssertionError, match="gradient: off by"):
        assert_agree(run_numpy(problem).gradients[0], expected.gradients[0], "gradient")


def test_graphs_that_do_not_line_up_are_seen() -> None:
    found, _ = runs("logistic")
    _, expected = runs("output_with_seed")
    lineup = line_up(found.graph, expected.graph)
    assert all(lineup.left)
