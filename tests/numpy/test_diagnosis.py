"""Faults that are planted in programs of the NumPy engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradtrace
import gradtrace_numpy as gn

SAMPLES, UNITS = 32, 16


def squares(h: Any, y: Any) -> Any:
    return np.mean((h - y) ** 2)


def network(act: Callable[[Any], Any], *, shift: float = 0.0, extra: bool = False) -> set[str]:
    """Return the rules that a perceptron breaks, some of whose units are shifted."""
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(SAMPLES, 8)), generator.normal(size=(SAMPLES, 1))
    model = {
        "w": gn.parameter(generator.normal(size=(8, UNITS)) / 3),
        "b": gn.parameter(np.where(np.arange(UNITS) < 4, shift, 0.0)),
        "v": gn.parameter(generator.normal(size=(UNITS, 1)) / 4),
    }
    if extra:
        model["u"] = gn.parameter(np.ones(3))
    with gradtrace.trace(model, keep="all") as graph:
        squares(act(x @ model["w"] + model["b"]) @ model["v"], y).backward()
    return {finding.rule for finding in graph.diagnose().warnings}


@pytest.mark.parametrize(
    "relu",
    [
        gn.relu,
        lambda h: np.maximum(h, 0),
        lambda h: np.clip(h, 0, None),
        lambda h: np.where(h > 0, h, 0),
    ],
)
def test_dead_units_of_any_relu(relu: Callable[[Any], Any]) -> None:
    assert network(relu) == set()
    assert network(relu, shift=-60.0) == {"dead_relu"}


def test_a_parameter_of_the_model_that_no_call_uses() -> None:
    assert network(np.tanh, extra=True) == {"no_gradient"}
