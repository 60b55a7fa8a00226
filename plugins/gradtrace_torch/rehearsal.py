"""A module run once, for the sake of its graph."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from gradtrace.errors import OptionError, require_choice

__all__ = ["rehearsal"]


@contextmanager
def rehearsal(
    model: torch.nn.Module,
    *,
    data: Any,
    sizes: Any,
    device: Any,
    dtypes: Any,
    mode: str | None,
    arguments: Mapping[str, Any],
) -> Iterator[tuple[torch.nn.Module, Callable[[], Any]]]:
    """Give the module to trace, and a function that runs it; its modes are restored at the end.

    On another device a copy is run. Raises `OptionError` without any input.
    """
    require_choice("mode", mode, (None, "train", "eval"))
    place = None if device is None else torch.device(device)
    actor = model
    if place is not None and any(p.device != place for p in model.parameters()):
        actor = copy.deepcopy(model).to(place)
    given, named = _arguments(data, sizes, dtypes, _home(actor, place), arguments)
    modes = {module: module.training for module in actor.modules()}
    actor.train(mode == "train")
    try:
        yield actor, lambda: actor(*given, **named)
    finally:
        for module, training in modes.items():
            module.training = training


def _home(model: torch.nn.Module, device: torch.device | None) -> torch.device:
    """Return where the inputs belong: where the parameters are, unless told."""
    first = next(model.parameters(), None)
    return device or (torch.device("cpu") if first is None else first.device)


def _arguments(
    data: Any, sizes: Any, dtypes: Any, device: torch.device, named: Mapping[str, Any]
) -> tuple[Sequence[Any], dict[str, Any]]:
    """Return the arguments of the call by place and by name."""
    if data is not None and sizes is not None:
        raise OptionError("draw_graph() takes input_data= or input_size=, not both")
    if isinstance(data, Mapping):
        return (), {name: _moved(value, device) for name, value in {**data, **named}.items()}
    if data is not None:
        several = data if isinstance(data, list | tuple) else [data]
        return [_moved(each, device) for each in several], dict(named)
    if sizes is None:
        if named:
            return (), {name: _moved(value, device) for name, value in named.items()}
        raise OptionError("draw_graph() needs input_data= or input_size=, to run the model on")
    return _made(sizes, dtypes, device), dict(named)


def _made(sizes: Any, dtypes: Any, device: torch.device) -> list[torch.Tensor]:
    """Return random tensors of these sizes; integers are 0, an index that is always there."""
    each = [sizes] if all(isinstance(size, int) for size in sizes) else list(sizes)
    types = list(dtypes or [torch.get_default_dtype()] * len(each))
    if len(types) != len(each):
        raise OptionError(f"dtypes= has {len(types)} types for {len(each)} sizes; give one each")
    made = []
    with torch.random.fork_rng(devices=[]):
        for size, dtype in zip(each, types, strict=True):
            floating = dtype.is_floating_point or dtype.is_complex
            make = torch.rand(*size, dtype=dtype) if floating else torch.zeros(*size, dtype=dtype)
            made.append(make.to(device))
    return made


def _moved(value: Any, device: torch.device) -> Any:
    return value.to(device) if isinstance(value, torch.Tensor) else value
