"""Whether a trace holds for PyTorch as people use it: every program, under every option."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import gradtrace
from tests.torch import cases_autograd, cases_modules, cases_tensors
from tests.torch.cases import CASES, Case, Program, spelled

__all__ = ["OPTIONS", "TABLES"]

TABLES = (cases_tensors, cases_modules, cases_autograd)

GRAPHS = Path(__file__).with_name("golden") / "graphs.txt"

OPTIONS: dict[str, dict[str, str]] = {
    "default": {},
    "all": {"keep": "all"},
    "small": {"keep": "small"},
    "norm": {"keep": "all", "derivatives": "norm"},
    "exact": {"keep": "all", "derivatives": "exact"},
    "primitive": {"keep": "all", "detail": "primitive"},
    "primitive-exact": {"keep": "all", "detail": "primitive", "derivatives": "exact"},
    "module": {"keep": "all", "detail": "module"},
}

every_case = pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
every_option = pytest.mark.parametrize("options", OPTIONS.values(), ids=list(OPTIONS))

pytestmark = [
    pytest.mark.filterwarnings("ignore:Using backward. with create_graph"),
    pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:dropout option adds dropout"),
]


def expect_bugs(case: Case, request: pytest.FixtureRequest, aspect: str) -> None:
    if aspect in case.bugs:
        request.applymarker(pytest.mark.xfail(strict=True, reason=case.bugs[aspect]))


def traced(program: Program, **options: Any) -> gradtrace.Graph:
    with gradtrace.trace(program.model, **options) as graph:
        program.run()
    return graph


def goldens() -> dict[str, list[str]]:
    sections = GRAPHS.read_text(encoding="utf-8").split("== ")[1:]
    return {lines[0]: lines[1:] for lines in (s.strip().split("\n") for s in sections)}


def assert_named_gradients(graph: gradtrace.Graph, program: Program, keep: str) -> None:
    """Compare the graph's upstream gradient of every leaf with its `.grad`."""
    named = {name: data for _, data in graph.nodes(data=True) for name in data["names"]}
    for name, gradient in program.gradients().items():
        assert name in named, f"no node is named {name}"
        upstream = named[name]["upstream_gradient"]
        assert upstream is not None, f"{name} has no upstream gradient"
        dense = gradient.to_dense()
        expected = (dense.float() if dense.dtype is torch.bfloat16 else dense).numpy()
        if keep == "all":
            np.testing.assert_array_equal(upstream.array, expected, err_msg=name)
        norm = float(np.linalg.norm(expected.astype(np.float64)))
        assert math.isclose(upstream.norm, norm, rel_tol=1e-5, abs_tol=1e-30), name
        assert upstream.shape == tuple(gradient.shape)


def gradient_of(data: dict[str, Any]) -> list[gradtrace.Summary]:
    upstream = data["upstream_gradient"]
    parts = upstream if isinstance(upstream, tuple) else (upstream,)
    return [part for part in parts if part is not None]


@every_option
@every_case
def test_the_chain_rule_holds_and_leaves_have_their_gradients(
    case: Case, options: dict[str, str], request: pytest.FixtureRequest
) -> None:
    expect_bugs(case, request, options.get("derivatives", "gain"))
    program = case.program()
    graph = traced(program, **options)
    assert not graph.check().failed, str(graph.check())
    assert bool(program.gradients()) is case.gathers
    assert_named_gradients(graph, program, options.get("keep", "summary"))


@every_case
def test_every_gradient_is_verified(case: Case, request: pytest.FixtureRequest) -> None:
    expect_bugs(case, request, "verified")
    graph = traced(case.program(), keep="all", derivatives="exact")
    open_questions = {
        verdict.node
        for verdict in graph.check().unverifiable
        if gradient_of(graph.nodes[verdict.node])
    }
    assert open_questions == case.unverifiable, str(graph.check())


@every_case
def test_the_graph_is_the_golden_one(case: Case, request: pytest.FixtureRequest) -> None:
    expect_bugs(case, request, "graph")
    assert spelled(traced(case.program())) == goldens()[case.name]


@every_case
def test_exact_derivatives_change_no_node(case: Case, request: pytest.FixtureRequest) -> None:
    expect_bugs(case, request, "same")
    coarse = traced(case.program(), keep="all")
    exact = traced(case.program(), keep="all", derivatives="exact")
    assert spelled(coarse) == spelled(exact)
    for node, data in coarse.nodes(data=True):
        assert data["upstream_gradient"] == exact.nodes[node]["upstream_gradient"], node


@every_case
def test_what_is_differentiable_has_a_gradient_or_says_so(case: Case) -> None:
    """A gradient that is not there is None, and then nothing of it went on."""
    graph = traced(case.program(), keep="all")
    for node, data in graph.nodes(data=True):
        if gradient_of(data) or data["note"]:
            continue
        for operand, _, edge in graph.in_edges(node, data=True):
            assert edge["downstream_gradient"] is None, f"{operand} → {node}"


def test_every_golden_graph_has_its_program() -> None:
    assert set(goldens()) == set(CASES)
    assert {case.build.__module__ for case in CASES.values()} == {t.__name__ for t in TABLES}
