"""What the user asks of autograd in one `backward()` or `grad()`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

__all__ = ["Request"]


@dataclass(frozen=True, slots=True)
class Request:
    """The arguments of `Tensor.backward`, `torch.autograd.backward` or `torch.autograd.grad`."""

    outputs: Sequence[Any]
    given: Sequence[Any]
    inputs: Sequence[Any]
    adds: bool
    """Whether gradients are added to `.grad`."""
    again: bool
    """Whether another pass may go through the same calls."""
    batched: bool

    @classmethod
    def of(cls, func: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Request:
        """Read the arguments of a call of `func`."""
        asked = inspect.signature(func).bind(*args, **kwargs).arguments
        outputs = _listed(asked.get("self", asked.get("tensors", asked.get("outputs"))))
        given = asked.get("gradient", asked.get("grad_tensors", asked.get("grad_outputs")))
        return cls(
            outputs,
            [None] * len(outputs) if given is None else _listed(given),
            _listed(asked.get("inputs")),
            func is not torch.autograd.grad,
            bool(asked.get("retain_graph") or asked.get("create_graph")),
            bool(asked.get("is_grads_batched")),
        )

    def seeds(self) -> list[tuple[Tensor, Tensor]]:
        """Return each output with the upstream gradient given there, 1 where none was."""
        if self.batched:
            return []
        return [
            (output, torch.ones_like(output) if given is None else given.detach())
            for output, given in zip(self.outputs, self.given, strict=False)
            if isinstance(output, Tensor) and output.requires_grad
        ]


def _listed(value: Any) -> Sequence[Any]:
    if value is None:
        return []
    return [value] if isinstance(value, Tensor) or not isinstance(value, Sequence) else value
