"""The backend contract in the NumPy engine."""

from __future__ import annotations

from typing import Any

import numpy as np

import gradtrace_numpy as gn
from gradtrace.testing import BackendContract


class TestNumpy(BackendContract):
    backend = "numpy"

    def leaf(self, numbers: Any) -> Any:
        return gn.array(numbers)

    def elements(self, value: Any) -> Any:
        return value.data

    def gradient(self, leaf: Any) -> Any:
        return leaf.grad

    def backward_from(self, output: Any, seed: list[float]) -> None:
        output.backward(seed)

    def total(self, x: Any) -> Any:
        return np.sum(x)

    def halves(self, x: Any) -> Any:
        return np.split(x, 2)

    def compared(self, x: Any) -> Any:
        return x > 2

    def fill(self, leaf: Any, number: float) -> None:
        leaf.data = np.full(leaf.shape, number)

    def model(self, numbers: dict[str, float]) -> Any:
        return {name: gn.parameter(number) for name, number in numbers.items()}
