"""The backend contract in PyTorch."""

from __future__ import annotations

from typing import Any

import torch

from gradtrace.testing import BackendContract

__all__ = ["TestTorch"]


class TestTorch(BackendContract):
    backend = "torch"

    def leaf(self, numbers: Any) -> Any:
        return torch.tensor(numbers, dtype=torch.float64, requires_grad=True)

    def elements(self, value: Any) -> Any:
        return value.detach().numpy()

    def gradient(self, leaf: Any) -> Any:
        return leaf.grad.numpy()

    def backward_from(self, output: Any, seed: list[float]) -> None:
        output.backward(torch.tensor(seed, dtype=torch.float64))

    def total(self, x: Any) -> Any:
        return x.sum()

    def halves(self, x: Any) -> Any:
        return x.chunk(2)

    def compared(self, x: Any) -> Any:
        return x > 2

    def fill(self, leaf: Any, number: float) -> None:
        with torch.no_grad():
            leaf.fill_(number)

    def model(self, numbers: dict[str, float]) -> Any:
        return torch.nn.ParameterDict(
            {name: torch.tensor(number, dtype=torch.float64) for name, number in numbers.items()}
        )

    def reseed(self) -> None:
        torch.manual_seed(0)

    def chance(self) -> float:
        return torch.rand(()).item()
