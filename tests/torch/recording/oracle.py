"""What a recording must say, found in another way: by torch itself, in float64, step by step."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

import gradtrace

__all__ = ["Truth", "assert_recorded", "numbers", "watch_modules"]


def numbers(tensor: Tensor) -> dict[str, float]:
    """Return statistics of all elements of a tensor, in float64."""
    x = tensor.detach().to_dense() if tensor.is_sparse else tensor.detach()
    x = (x.abs() if x.is_complex() else x).double().flatten()
    return {
        "norm": x.norm().item(),
        "rms": x.pow(2).mean().sqrt().item(),
        "min": x.min().item(),
        "max": x.max().item(),
        "nonfinite": float((~x.isfinite()).sum()),
        "nan": float(x.isnan().sum()),
        "infinite": float(x.isinf().sum()),
        "count": float(x.numel()),
    }


@dataclass
class Truth:
    """Statistics by step, quantity, node and statistic."""

    found: dict[tuple[int, str, str, str], float] = field(default_factory=dict)

    def say(self, step: int, quantity: str, node: str, **statistics: float) -> None:
        for name, number in statistics.items():
            self.found[step, quantity, node, name] = number

    def tell(self, step: int, quantity: str, node: str, tensor: Tensor, *names: str) -> None:
        known = numbers(tensor)
        self.say(step, quantity, node, **{name: known[name] for name in names or known})


def assert_recorded(directory: Path, truth: Truth, *, rtol: float = 1e-5) -> None:
    """Raise unless the run in `directory` says what is true, of each step."""
    run = gradtrace.open_recording(directory)
    wanted = {(quantity, statistic) for _, quantity, _, statistic in truth.found}
    seen = 0
    for quantity, statistic in sorted(wanted):
        matrix = run.matrix(quantity, statistic)
        columns = {node: column for column, node in enumerate(matrix.nodes)}
        rows = {int(step): row for row, step in enumerate(matrix.steps)}
        for (step, of, node, name), expected in truth.found.items():
            if (of, name) == (quantity, statistic):
                actual = float(matrix.values[rows[step], columns[node]])
                place = f"{statistic} of {quantity} of {node} in step {step}"
                np.testing.assert_allclose(actual, expected, rtol=rtol, atol=1e-9, err_msg=place)
                seen += 1
    assert seen == len(truth.found) > 0


def watch_modules(model: nn.Module, truth: Truth, step: Callable[[], int]) -> list[Any]:
    """Have torch's own full backward hooks tell the gradients at each module.

    They take an input that is given twice for two.
    """
    calls: dict[tuple[int, str, str], list[Tensor]] = {}

    def add(name: str, quantity: str, tensors: tuple[Any, ...]) -> None:
        kept = calls.setdefault((step(), quantity, name), [])
        kept += [t.detach().flatten().clone() for t in tensors if t is not None]
        if kept:
            truth.tell(step(), quantity, name, torch.cat(kept), "norm", "rms", "count")

    given: dict[str, list[int]] = {}

    def hooks(name: str) -> tuple[Any, Any, Any]:
        def before(module: nn.Module, arguments: Any) -> None:
            given[name] = [id(argument) for argument in arguments]

        def forward(module: nn.Module, arguments: Any, output: Any) -> None:
            add(name, "output", tuple(tree_leaves(output)))

        def backward(module: nn.Module, downstream: Any, upstream: Any) -> None:
            add(name, "upstream gradient", upstream)
            sums: dict[int, Tensor] = {}
            for key, tensor in zip(given[name], downstream, strict=True):
                if tensor is not None:
                    sums[key] = sums[key] + tensor if key in sums else tensor
            add(name, "downstream gradient", tuple(sums.values()))

        return before, forward, backward

    handles: list[Any] = []
    for name, module in model.named_modules():
        before, forward, backward = hooks(name)
        handles += [module.register_forward_pre_hook(before)]
        handles += [module.register_forward_hook(forward)]
        handles += [module.register_full_backward_hook(backward)]
    return handles


def twin(model: nn.Module) -> nn.Module:
    """Return a copy that shares nothing."""
    return copy.deepcopy(model)
