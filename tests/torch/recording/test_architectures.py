"""What is recorded at the modules of architectures that people train, against hooks on tensors."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

import gradtrace
from tests.torch.architectures import ARCHITECTURES
from tests.torch.recording.oracle import Truth, assert_recorded

pytestmark = pytest.mark.filterwarnings("ignore")

HANDED_ON = {"t5", "resnet"}
"""Architectures of which a module returns what it is given; to know more than the gradient of that
tensor, these hooks change what is returned."""

STEPS = 3

Gradients = dict[tuple[str, str], list[Tensor]]


def hear(tensor: Tensor, found: list[Tensor]) -> None:
    tensor.register_hook(lambda gradient: found.append(gradient.detach().flatten().clone()))


def watch(model: nn.Module, found: Gradients) -> None:
    """Give each module views of what it is given, whose gradients are what it alone passes back."""

    def hooks(name: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
        def before(module: nn.Module, args: Any, kwargs: Any) -> Any:
            views: dict[int, Tensor] = {}

            def view(value: Any) -> Any:
                if not (isinstance(value, Tensor) and value.requires_grad):
                    return value
                if id(value) not in views:
                    views[id(value)] = value.view_as(value)
                    hear(views[id(value)], found.setdefault((name, "downstream gradient"), []))
                return views[id(value)]

            return tree_map(view, (args, kwargs))

        def after(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
            for each in tree_leaves(output):
                if isinstance(each, Tensor) and each.requires_grad:
                    hear(each, found.setdefault((name, "upstream gradient"), []))

        return before, after

    for name, module in model.named_modules():
        before, after = hooks(name)
        module.register_forward_pre_hook(before, with_kwargs=True)
        module.register_forward_hook(after, with_kwargs=True)


def train(name: str, model: nn.Module, after: Callable[[int], None]) -> None:
    for step in range(STEPS):
        torch.manual_seed(step)
        model.zero_grad()
        ARCHITECTURES[name][1](model).backward()
        after(step)


@pytest.mark.parametrize("name", [name for name in ARCHITECTURES if name not in HANDED_ON])
def test_gradients_at_the_modules_of_an_architecture(tmp_path: Path, name: str) -> None:
    torch.manual_seed(0)
    model = ARCHITECTURES[name][0]().train()
    twin, truth, found = copy.deepcopy(model), Truth(), Gradients()
    watch(twin, found)

    def tell(step: int) -> None:
        for (node, quantity), gradients in found.items():
            if gradients:
                truth.tell(step, quantity, node, torch.cat(gradients), "norm", "count")
                gradients.clear()

    train(name, twin, tell)
    with gradtrace.record(
        model, tmp_path / "run", snapshots_every=None, histograms_every=None
    ) as recorder:
        train(name, model, lambda step: recorder.step())
    assert_recorded(tmp_path / "run", truth, rtol=1e-4)
