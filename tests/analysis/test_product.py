"""The local derivative of a fold is the product along it."""

from __future__ import annotations

import numpy as np
import pytest

from gradtrace.analysis.check import check
from gradtrace.derivative import LIMIT
from tests.analysis.examples import edge
from tests.analysis.networks import dense_layer, finish, weights
from tests.tapes import Run


def test_the_product_is_the_chain_computed_densely() -> None:
    run = Run()
    x, w = weights(run, 2)
    graph = finish(run, dense_layer(run, x, w, "fc")).collapse(depth=1)
    hidden = np.tanh(x.array @ w.array)
    through_x = np.einsum("ij,ik,lj->ijkl", 1 - hidden**2, np.eye(3), w.array)
    through_w = np.einsum("ij,ik,jl->ijkl", 1 - hidden**2, x.array, np.eye(3))
    found = [data["local_derivative"] for _, _, data in graph.in_edges("fc", data=True)]
    assert [derivative.structure for derivative in found] == ["dense", "identity", "dense"]
    np.testing.assert_allclose(found[0].dense(), through_x, atol=1e-14)
    np.testing.assert_allclose(found[2].dense(), through_w, atol=1e-14)
    assert found[2].norm == pytest.approx(np.linalg.norm(through_w))


STRUCTURES = [
    (["reshape"], "identity"),
    (["halve", "halve"], "scaled"),
    (["relu", "tanh"], "diagonal"),
    (["halve", "tanh", "reshape"], "diagonal"),
    (["tanh", "transpose"], "dense"),
    (["transpose", "tanh"], "dense"),
    (["transpose", "transpose"], "dense"),
]


@pytest.mark.parametrize(("ops", "structure"), STRUCTURES, ids=lambda value: str(value))
def test_a_product_has_the_cheapest_structure(ops: list[str], structure: str) -> None:
    run = Run()
    (x,) = weights(run, 1)
    run.scope, value = "f", x
    for op in ops:
        value = run.call(op, value)
    graph = finish(run, value).collapse(depth=1)
    derivative = edge(graph, "w0", "f")["local_derivative"]
    assert derivative.structure == structure
    upstream, share = graph.nodes["f"]["upstream_gradient"].array, np.asarray(x.upstream)
    np.testing.assert_allclose(derivative.pullback(upstream), share, atol=1e-14)
    assert derivative.gain == pytest.approx(np.linalg.norm(share) / np.linalg.norm(upstream))


@pytest.mark.parametrize(
    ("ways", "structure"),
    [
        (("halve", "halve"), "identity"),
        (("halve", "reshape"), "scaled"),
        (("tanh", "halve"), "diagonal"),
        (("tanh", "relu"), "diagonal"),
    ],
)
def test_ways_that_meet_are_added(ways: tuple[str, str], structure: str) -> None:
    run = Run()
    x = run.leaf("x", [0.5, -1.0, 2.0])
    run.scope = "f"
    one = run.call("reshape", x)
    graph = finish(run, run.call("add", *(run.call(way, one) for way in ways))).collapse(depth=1)
    assert edge(graph, "x", "f")["local_derivative"].structure == structure
    assert check(graph).ok


def test_a_way_that_carries_no_gradient_is_zero() -> None:
    run = Run()
    x = run.leaf("x", [0.5, -1.0])
    run.scope = "f"
    graph = finish(run, run.call("forget", run.leaf("c", [1.0, 1.0]), run.call("tanh", x)))
    derivative = edge(graph.collapse(depth=1), "x", "f")["local_derivative"]
    assert (derivative.structure, derivative.norm, derivative.gain) == ("zero", 0.0, 0.0)


def test_a_product_of_gains_is_an_operator_with_its_gain() -> None:
    run = Run(derivatives="gain", keep="summary")
    x, w = weights(run, 2)
    graph = finish(run, dense_layer(run, x, w, "fc")).collapse(depth=1)
    share = edge(graph, "w1", "fc")
    derivative = share["local_derivative"]
    assert derivative.structure == "operator"
    assert derivative.reason == "a factor of it was traced for its gain only"
    upstream = graph.nodes["fc"]["upstream_gradient"].norm
    assert derivative.gain == share["downstream_gradient"].norm / upstream


def test_a_product_over_the_limit_is_an_operator() -> None:
    run = Run()
    x, w = weights(run, 2, size=33)
    assert LIMIT < 33**4
    graph = finish(run, dense_layer(run, x, w, "fc")).collapse(depth=1)
    derivative = edge(graph, "w1", "fc")["local_derivative"]
    assert derivative.structure == "operator"
    assert derivative.reason == "the product has 1,185,921 elements, over the limit of 1,048,576"
