"""What puts a recording into the training loop of somebody else, in one line.

Each is imported when it is used, so that one needs only the library that it is for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gradtrace_torch.callbacks.lightning_loop import LightningRecorder
    from gradtrace_torch.callbacks.trainer_loop import TrainerRecorder

__all__ = ["LightningRecorder", "TrainerRecorder"]

_HOMES = {"LightningRecorder": "lightning_loop", "TrainerRecorder": "trainer_loop"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
