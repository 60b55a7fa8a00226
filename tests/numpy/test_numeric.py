"""Differences of each call's own function, in the NumPy engine."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradtrace
import gradtrace_numpy as gn


def network(activation: Any) -> gradtrace.Graph:
    generator = np.random.default_rng(0)
    w, v = gn.parameter(generator.normal(size=(6, 4))), gn.parameter(generator.normal(size=(2, 6)))
    x, classes = generator.normal(size=(4, 5)), np.array([0, 1, 1, 0, 1])
    with gradtrace.trace({"w": w, "v": v}, keep="all") as graph:
        gn.cross_entropy((v @ activation(w @ x)).T, classes).backward()
    return graph


@pytest.mark.parametrize("error", [0.0, 0.01, -2.0])
def test_a_wrong_pullback_is_named(error: float) -> None:
    @gn.primitive(lambda upstream, y, x: upstream * (1 + error) * np.cos(x))
    def wave(x: Any) -> Any:
        return np.sin(x)

    graph = network(wave)
    assert not graph.check().failed
    check = graph.check(numeric=True)
    assert [verdict.node for verdict in check.failed] == (["wave"] if error else []), str(check)
    assert "wave" in {verdict.node for verdict in (check.failed if error else check.passed)}


def test_a_kink_is_unverifiable() -> None:
    graph = network(lambda x: gn.relu(0 * x))
    check = graph.check(numeric=True)
    assert check.ok
    (relu,) = (verdict for verdict in check if verdict.node == "relu")
    assert relu.verdict == "unverifiable"
    assert "kink" in relu.reason


def test_a_random_call_that_cannot_be_run_again_is_unverifiable() -> None:
    generator = np.random.default_rng(1)

    @gn.primitive(lambda upstream, y, x: upstream)
    def noisy(x: Any) -> Any:
        return x + generator.normal(size=x.shape)

    (verdict,) = (each for each in network(noisy).check(numeric=True) if each.node == "noisy")
    assert verdict.verdict == "unverifiable"
    assert verdict.reason == "its function gives other numbers when it is run again"
