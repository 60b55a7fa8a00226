"""What there is to learn from an optimizer: which it wraps, its learning rates."""

from __future__ import annotations

from types import FrameType
from typing import Any

import torch
from torch.optim import Optimizer

__all__ = ["has_closure", "inner_of", "learning_rates", "runs"]


def inner_of(optimizer: Any) -> Any:
    """Return the optimizer that another one wraps, such as that of Accelerate or of Lightning."""
    for name in ("optimizer", "_optimizer"):
        inner = getattr(optimizer, name, None)
        if isinstance(inner, Optimizer) and inner is not optimizer:
            return inner_of(inner)
    return optimizer


def has_closure(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Tell from the arguments of a step whether gradients are only computed inside it."""
    return kwargs.get("closure", args[1] if len(args) > 1 else None) is not None


def runs(call: FrameType | None, frame: FrameType | None) -> bool:
    """Tell whether `frame` is inside of `call`, which may have ended in an exception."""
    while call is not None and frame is not None and frame is not call:
        frame = frame.f_back
    return call is not None and frame is call


def learning_rates(optimizers: list[Any]) -> dict[str, Any]:
    """Return the learning rate of each group, `lr` where there is one group in all.

    >>> weights = [torch.nn.Parameter(torch.ones(2)) for _ in range(2)]
    >>> learning_rates([torch.optim.SGD(weights, lr=0.1)])
    {'lr': 0.1}
    >>> groups = [{"params": weights[:1]}, {"params": weights[1:], "lr": 0.2}]
    >>> learning_rates([torch.optim.SGD(groups, lr=0.1)])
    {'lr/0': 0.1, 'lr/1': 0.2}
    """
    rates = [group.get("lr") for each in optimizers for group in each.param_groups]
    copies = [rate.detach().clone() if isinstance(rate, torch.Tensor) else rate for rate in rates]
    if len(copies) == 1:
        return {} if copies[0] is None else {"lr": copies[0]}
    return {f"lr/{number}": rate for number, rate in enumerate(copies) if rate is not None}
