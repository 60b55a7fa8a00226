"""The scale of a `GradScaler`, found without a line of the user's."""

from __future__ import annotations

import gc
import sys
import weakref
from types import FrameType
from typing import Any

import torch
from torch.amp import GradScaler

__all__ = ["Scaling"]

_STEPS = frozenset((GradScaler.step.__code__, GradScaler._maybe_opt_step.__code__))
_DEPTH = 12
_LOOKS = 3


class Scaling:
    """Knows by what the gradients of a model are multiplied while it is trained."""

    def __init__(self) -> None:
        self.scaler: Any = None
        self._earlier = weakref.WeakSet(_working())
        """Scalers that have worked before: of another training, for all that one can know."""
        self._searched = False
        self._looked: dict[int, tuple[int, Any]] = {}
        """How often the frames above a step of each optimizer were looked at; the scaler there."""

    def search(self) -> None:
        """Suppose the only scaler that has begun to work since, until an optimizer first steps.

        Looking at all living objects takes some 20 ms, so it is done once.
        """
        if self._searched:
            return
        self._searched = True
        begun = [each for each in _working() if each not in self._earlier]
        self.scaler = begun[0] if len(begun) == 1 else None

    def scale(self) -> Any:
        """Return the scale now, None where there is none; on a device, a tensor of it."""
        if self.scaler is None or self.scaler._scale is None:
            return None
        scale = self.scaler._scale
        return scale.item() if scale.is_cpu else scale.clone()

    def stepped_by(self, optimizer: Any) -> bool:
        """Learn from the frames above which scaler steps `optimizer`; tell whether that is new."""
        looked, found = self._looked.get(id(optimizer), (0, None))
        if looked < _LOOKS:
            found = _scaler_above(sys._getframe(1))
            self._looked[id(optimizer)] = looked + 1, found
        supposed, self.scaler = self.scaler, found
        return supposed is not found

    @staticmethod
    def left_to(optimizer: Any) -> Any:
        """Return by what an optimizer that unscales for itself will multiply its gradients."""
        scale = getattr(optimizer, "grad_scale", None)
        if not isinstance(scale, torch.Tensor):
            return None
        return 1.0 / scale.item() if scale.is_cpu else scale.reciprocal()


def _working() -> list[GradScaler]:
    """Return the living scalers that have scaled something."""
    alive = [each for each in gc.get_objects() if issubclass(type(each), GradScaler)]
    return [each for each in alive if each.is_enabled() and each._scale is not None]


def _scaler_above(frame: FrameType | None) -> Any:
    for _ in range(_DEPTH):
        if frame is None:
            return None
        if frame.f_code in _STEPS:
            scaler = frame.f_locals["self"]
            return scaler if scaler.is_enabled() else None
        frame = frame.f_back
    return None
