"""A small network in the NumPy engine, and its graph."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

import gradtrace
import gradtrace_numpy as gn

__all__ = ["network", "traced"]


@dataclass
class Layer:
    weight: gn.Array
    bias: gn.Array


@dataclass
class Network:
    layers: list[Layer]
    extra: dict[str, Any] = field(default_factory=dict)

    def __call__(self, x: Any) -> Any:
        for number, layer in enumerate(self.layers):
            with gn.scope(f"layers.{number}"):
                x = gn.relu(gn.linear(x, layer.weight, layer.bias))
        return x


def network() -> Network:
    rng = np.random.default_rng(0)
    shapes = [(5, 3), (2, 5)]
    made = [Layer(gn.array(rng.normal(size=s)), gn.array(rng.normal(size=s[:1]))) for s in shapes]
    return Network(made, {"scale": gn.array(2.0)})


def traced(**options: Any) -> gradtrace.Graph:
    model, x, target = network(), np.arange(12.0).reshape(4, 3) / 5, np.ones((4, 2))
    with gradtrace.trace(model, **options) as graph:
        loss = gn.mse(model(x) * model.extra["scale"], target)
        loss.backward()
    return graph
