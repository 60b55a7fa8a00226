"""Upstream gradients of every module in PyTorch's own module database."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import gradtrace
from tests.torch.problems import module_db, tensors

pytestmark = pytest.mark.filterwarnings("ignore")

EXCLUDED = {
    "FractionalMaxPool2d eval": "its samples are random; covered by the samples in training mode",
}
"""Modules that are not tested, with the reason."""

FEWEST = 230
"""Modules, in training and in evaluation mode, that must have been tested. For the README."""

counts: Counter[str] = Counter()


def name_of(info: Any) -> str:
    return str(info.name.removeprefix("nn.").replace(".", "_"))


def samples(info: Any, training: bool) -> Iterator[Any]:
    """Yield the samples in float64 that torch tests the gradients of this module with."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        yield from info.module_inputs_func(
            info, device="cpu", dtype=torch.float64, requires_grad=True, training=training
        )


def leaves_of(module: nn.Module, sample: Any) -> list[Tensor]:
    given = tensors((sample.forward_input.args, sample.forward_input.kwargs))
    unique = {id(t): t for t in [*given, *module.parameters()]}
    return [t for t in unique.values() if t.requires_grad and t.is_leaf]


def differentiate(module: nn.Module, sample: Any) -> list[Tensor]:
    """Run the module forward and backward; return the results that a gradient came back from."""
    torch.manual_seed(1)
    made = module(*sample.forward_input.args, **sample.forward_input.kwargs)
    results = [t for t in tensors(made) if t.requires_grad]
    torch.autograd.backward(results, [torch.ones_like(t) for t in results])
    return results


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


def assert_gradients_are_traced(info: Any, training: bool, sample: Any, **options: str) -> int:
    """Trace one sample and compare; return how many gradients were compared."""
    given = sample.constructor_input
    torch.manual_seed(0)
    module = info.module_cls(*given.args, **given.kwargs).to(torch.float64).train(training)
    leaves = leaves_of(module, sample)
    if not leaves:
        return 0
    differentiate(module, sample)
    expected = gradients(leaves)
    state = {name: buffer.clone() for name, buffer in module.named_buffers()}
    with gradtrace.trace(module, keep="all", **options) as graph:
        differentiate(module, sample)
    assert set(state) == {name for name, _ in module.named_buffers()}
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
    key = f"{name_of(info)} {'train' if training else 'eval'}"
    if key in EXCLUDED:
        pytest.skip(EXCLUDED[key])
    compared = 0
    for sample in samples(info, training):
        compared += assert_gradients_are_traced(info, training, sample)
    if not compared:
        pytest.skip("it has no differentiable input or parameter")
