"""The scale of a `GradScaler`, found without a line of the user's."""

from __future__ import annotations

import gc
import sys
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
        self._scaler: Any = None
        self._searched = False
        self._looked: dict[int, int] = {}
        """How often the frames above a step of each optimizer have been looked at."""

    def search(self, *, again: bool = False) -> None:
        """Look for the scaler among all living objects, which takes some 20 ms, so once."""
        if self._scaler is not None or (self._searched and not again):
            return
        self._searched = True
        found = [each for each in gc.get_objects() if issubclass(type(each), GradScaler)]
        working = [each for each in found if each.is_enabled() and each._scale is not None]
        self._scaler = working[-1] if working else None

    def scale(self) -> Any:
        """Return the scale now, None where there is none; on a device, a tensor of it."""
        if self._scaler is None or self._scaler._scale is None:
            return None
        scale = self._scaler._scale
        return scale.item() if scale.is_cpu else scale.clone()

    def stepped_by(self, optimizer: Any) -> None:
        """Learn from the frames above, a few times, which scaler steps `optimizer`."""
        looked = self._looked.get(id(optimizer), 0)
        if looked == _LOOKS:
            return
        self._looked[id(optimizer)] = looked + 1
        frame: FrameType | None = sys._getframe(1)
        for _ in range(_DEPTH):
            if frame is None:
                return
            if frame.f_code in _STEPS:
                scaler = frame.f_locals.get("self")
                self._scaler = scaler if scaler.is_enabled() else None
                return
            frame = frame.f_back

    @staticmethod
    def left_to(optimizer: Any) -> Any:
        """Return by what an optimizer that unscales for itself will multiply its gradients."""
        scale = getattr(optimizer, "grad_scale", None)
        if not isinstance(scale, torch.Tensor):
            return None
        return 1.0 / scale.item() if scale.is_cpu else scale.reciprocal()
