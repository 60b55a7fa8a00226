"""A small network, its training, and what the tests look at in it."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.modules import module as module_hooks
from torch.optim import optimizer as optimizer_hooks

import gradtrace

__all__ = ["hooks_on", "mlp", "read", "train"]


def mlp() -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))


def train(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> None:
    for _ in range(steps):
        optimizer.zero_grad()
        model(torch.randn(5, 4)).pow(2).sum().backward()
        optimizer.step()


def hooks_on(model: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    count = len(optimizer._optimizer_step_pre_hooks) + len(optimizer._optimizer_step_post_hooks)
    count += len(optimizer_hooks._global_optimizer_pre_hooks)
    count += len(optimizer_hooks._global_optimizer_post_hooks)
    count += len(module_hooks._global_forward_hooks) + len(module_hooks._global_forward_pre_hooks)
    for module in model.modules():
        count += len(module._forward_hooks) + len(module._forward_pre_hooks)
        count += len(module._backward_hooks) + len(module._backward_pre_hooks)
    for parameter in model.parameters():
        count += len(parameter._backward_hooks or ())
        count += len(parameter._post_accumulate_grad_hooks or ())
    return count + torch._C._len_torch_function_stack()


def read(
    run: gradtrace.Recording, quantity: str, node: str, statistic: str = "norm"
) -> list[float]:
    matrix = run.matrix(quantity, statistic)
    return [float(number) for number in matrix.values[:, matrix.nodes.index(node)]]
