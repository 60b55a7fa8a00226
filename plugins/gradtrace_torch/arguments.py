"""The tensors in what a call takes and in what it gives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor

from gradtrace_torch.ops import Op, Path

__all__ = ["operands_of", "results_of", "tensors_in"]

_PLAIN = {int, float, bool, str, type(None), torch.dtype, torch.device, torch.Size}
"""Types of arguments that hold no tensors."""


def tensors_in(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Tensor]]:
    """Yield every tensor in nested lists, tuples, dicts and dataclasses, with its path."""
    if isinstance(value, Tensor):
        yield path, value
    elif isinstance(value, list | tuple):
        if type(value) is not torch.Size:
            for index, element in enumerate(value):
                if type(element) not in _PLAIN:
                    yield from tensors_in(element, (*path, index))
    elif isinstance(value, dict):
        for key, element in value.items():
            yield from tensors_in(element, (*path, key))
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from tensors_in(getattr(value, field.name), (*path, field.name))


def operands_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[tuple[Path, Tensor]]:
    """Return the tensors among the arguments, with their paths; `out=` is none of them."""
    found: list[tuple[Path, Tensor]] = []
    for place, argument in (*enumerate(args), *kwargs.items()):
        if isinstance(argument, Tensor):
            if place != "out":
                found.append(((place,), argument))
        elif type(argument) not in _PLAIN and place != "out":
            found += tensors_in(argument, (place,))
    return found


def results_of(op: Op, args: tuple[Any, ...], result: Any) -> list[Tensor]:
    """Return the tensors that a call made or wrote to."""
    if isinstance(result, Tensor):
        return [result]
    if result is None:
        return [tensor for _, tensor in tensors_in(args[:1])] if op.mutates else []
    return [tensor for _, tensor in tensors_in(result)]
