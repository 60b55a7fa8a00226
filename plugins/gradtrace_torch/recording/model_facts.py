"""What there is to say of a model before it is trained."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from gradtrace_torch.recording.ranks import place_in_world

__all__ = ["model_facts"]

_LONGEST = 20_000
"""Characters of the text of a model that are kept."""


def model_facts(model: nn.Module) -> dict[str, Any]:
    """Return what a run says of its model.

    >>> facts = model_facts(nn.Linear(3, 2))
    >>> facts["model"], facts["parameters"], facts["trainable"], facts["device"]
    ('Linear(in_features=3, out_features=2, bias=True)', 8, 8, 'cpu')
    """
    parameters = [each for each in model.parameters() if not is_lazy(each)]
    devices = sorted({each.device for each in parameters}, key=str)
    text = str(model)
    return {
        "model": text if len(text) <= _LONGEST else f"{text[:_LONGEST]}\n…",
        "model_class": type(model).__qualname__,
        "parameters": sum(each.numel() for each in parameters),
        "trainable": sum(each.numel() for each in parameters if each.requires_grad),
        "device": ", ".join(map(_described, devices)),
        "versions": {"torch": torch.__version__},
        "world_size": place_in_world()[1],
    }


def _described(device: torch.device) -> str:
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return str(device)
