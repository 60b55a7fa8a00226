"""Upstream gradients of every module in PyTorch's own module database."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

import gradtrace
from tests.torch.problems import module_db, tensors

pytestmark = pytest.mark.filterwarnings("ignore")

FEWEST = 110
"""Modules of the database, every one of which is tested, in training and evaluation mode."""

SAMPLES = 6
"""Samples of each that are tried, spread over all there are."""


def name_of(info: Any) -> str:
    return str(info.name.removeprefix("nn.").replace(".", "_"))


def samples(info: Any, training: bool) -> Iterator[Any]:
    """Yield samples in float64 that torch tests the gradients of this module with."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        found = info.module_inputs_func(
            info, device="cpu", dtype=torch.float64, requires_grad=True, training=training
        )
    for index in sorted({round(i) for i in np.linspace(0, len(found) - 1, SAMPLES)}):
        yield found[index].constructor_input, as_leaves(found[index].forward_input)


def as_leaves(given: Any) -> Any:
    """Return the arguments with each tensor cut off from what made it."""
    copies: dict[int, Tensor] = {}

    def copied(value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        if id(value) not in copies:
            copies[id(value)] = value.detach().clone().requires_grad_(value.requires_grad)
        return copies[id(value)]

    return tree_map(copied, given.args), tree_map(copied, given.kwargs)


def leaves_of(module: nn.Module, given: Any) -> list[Tensor]:
    unique = {id(t): t for t in [*tensors(given), *module.parameters()]}
    return [t for t in unique.values() if t.requires_grad]


def differentiate(module: nn.Module, given: Any) -> None:
    """Run the module forward, and backward from all its results."""
    torch.manual_seed(1)
    args, kwargs = given
    made = module(*args, **kwargs)
    results = [t for t in tensors(made) if t.requires_grad]
    torch.autograd.backward(results, [torch.ones_like(t) for t in results])


def gradients(leaves: list[Tensor]) -> list[Tensor | None]:
    found = [None if leaf.grad is None else leaf.grad.clone() for leaf in leaves]
    for leaf in leaves:
        leaf.grad = None
    return found


def upstream_of(graph: gradtrace.Graph, leaf: Tensor, gradient: Tensor) -> Any:
    """Return the upstream gradient of the leaf that holds the elements of `leaf`."""
    fitting = [
        data["upstream_gradient"]
        for data in graph.nodes.values()
        if data["kind"] in ("input", "parameter")
        and data["value"].shape == tuple(leaf.shape)
        and np.array_equal(data["value"].array, leaf.detach().numpy(), equal_nan=True)
    ]
    equal = [u for u in fitting if u is not None and np.array_equal(u.array, gradient.numpy())]
    return equal[0] if equal else (fitting or [None])[0]


def assert_gradients_are_traced(module: nn.Module, given: Any, **options: str) -> int:
    """Trace one sample and compare; return how many gradients were compared."""
    leaves = leaves_of(module, given)
    differentiate(module, given)
    expected = gradients(leaves)
    with gradtrace.trace(module, keep="all", **options) as graph:
        differentiate(module, given)
    found = gradients(leaves)
    assert not graph.check().failed, str(graph.check())
    for leaf, gradient, plain in zip(leaves, found, expected, strict=True):
        assert (gradient is None) == (plain is None)
        if gradient is None:
            continue
        upstream = upstream_of(graph, leaf, gradient)
        assert upstream is not None, f"no upstream gradient of {tuple(leaf.shape)}"
        np.testing.assert_array_equal(upstream.array, gradient.numpy())
    return sum(gradient is not None for gradient in found)


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("info", module_db, ids=name_of)
def test_upstream_gradients_are_those_of_the_module(info: Any, training: bool) -> None:
    compared = 0
    for constructor, given in samples(info, training):
        torch.manual_seed(0)
        module = info.module_cls(*constructor.args, **constructor.kwargs)
        module = module.to(torch.float64).train(training)
        compared += assert_gradients_are_traced(module, given)
    assert compared


def test_the_whole_database_is_there() -> None:
    assert len(module_db) >= FEWEST
