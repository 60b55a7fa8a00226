"""What is recorded at every module in PyTorch's own module database, against torch itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

import gradtrace
from tests.torch.problems import module_db, tensors
from tests.torch.recording.oracle import Truth, assert_recorded
from tests.torch.test_module_db import name_of, samples

pytestmark = pytest.mark.filterwarnings("ignore")

STEPS = 3


class Several(nn.Module):
    """A model that gives one of its modules copies of what it is given."""

    def __init__(self, modules: list[nn.Module]) -> None:
        super().__init__()
        self.several = nn.ModuleList(modules)
        self.one = nn.Parameter(torch.ones((), dtype=torch.float64))

    def forward(self, number: int, given: Any) -> Any:
        copies: dict[int, Tensor] = {}

        def copied(value: Any) -> Any:
            if not (isinstance(value, Tensor) and value.requires_grad):
                return value
            return copies.setdefault(id(value), value * self.one)

        args, kwargs = tree_map(copied, given)
        return self.several[number](*args, **kwargs)


def differentiate(model: Several, number: int, given: Any, truth: Truth, step: int) -> None:
    """Have one module differentiated from random upstream gradients, and tell all gradients."""
    torch.manual_seed(step)
    made = [t for t in tensors(model(number, given)) if t.requires_grad]
    weights = [torch.randn_like(each) for each in made]
    leaves = {id(t): t for t in tensors(given) if t.requires_grad}.values()
    for leaf in leaves:
        leaf.grad = None
    torch.autograd.backward(made, weights)
    found = {
        "upstream gradient": weights,
        "downstream gradient": [leaf.grad for leaf in leaves if leaf.grad is not None],
    }
    for quantity, gradients in found.items():
        whole = torch.cat([torch.empty(0), *(each.flatten() for each in gradients)])
        if whole.numel():
            truth.tell(step, quantity, f"several.{number}", whole, "norm", "count")


@pytest.mark.parametrize("info", module_db, ids=name_of)
def test_gradients_at_a_module_are_those_that_torch_computes(tmp_path: Path, info: Any) -> None:
    modules, inputs = [], []
    torch.manual_seed(0)
    for training in (True, False):
        for made, given in samples(info, training):
            module = info.module_cls(*made.args, **made.kwargs)
            modules.append(module.to(torch.float64).train(training))
            inputs.append(given)
    model, truth = Several(modules), Truth()
    with gradtrace.record(
        model, tmp_path / "run", snapshots_every=None, histograms_every=None
    ) as recorder:
        for step in range(STEPS):
            model.zero_grad()
            for number, given in enumerate(inputs):
                differentiate(model, number, given, truth, step)
            for name, parameter in model.several.named_parameters(prefix="several"):
                if parameter.grad is not None and parameter.numel():
                    truth.tell(step, "gradient", name, parameter.grad, "norm", "min", "max")
            recorder.step()
    assert_recorded(tmp_path / "run", truth, rtol=1e-6)
