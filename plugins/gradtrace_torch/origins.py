"""What is known of tensors that no recorded call made: their kind, names and origin."""

from __future__ import annotations

import weakref
from types import FrameType
from typing import Any

from torch import Tensor, nn

from gradtrace_torch.modules import Modules, argument_names
from gradtrace_torch.sources import Place, is_hidden, name_in_frames, place

__all__ = ["Origins", "definition"]


class Origins:
    """Kinds and names of leaves, and what made those that the block made out of nothing."""

    def __init__(self, modules: Modules, frame: FrameType | None) -> None:
        self._modules = modules
        self._frame = frame
        self._made: dict[int, tuple[weakref.ref[Tensor], str, Place | None]] = {}

    def forget(self) -> None:
        """Let go of the user's frame."""
        self._frame = None

    def set(self, tensor: Tensor, op: str, where: Place | None) -> None:
        """Remember that `op` made `tensor`; it is a leaf once it is used."""
        self._made[id(tensor)] = (weakref.ref(tensor), op, where)

    def of(self, tensor: Tensor) -> tuple[str | None, Place | None]:
        """Return what made `tensor`, and where; None twice if it comes from outside the block."""
        reference, op, where = self._made.get(id(tensor), (None, None, None))
        known = reference is not None and reference() is tensor
        return (op, where) if known else (None, None)

    def describe(self, tensor: Tensor) -> tuple[str, tuple[str, ...]]:
        """Return the kind and the names of a leaf."""
        modules = self._modules
        if id(tensor) in modules.parameters:
            return "parameter", tuple(modules.parameters[id(tensor)])
        if id(tensor) in modules.buffers:
            return "buffer", tuple(modules.buffers[id(tensor)])
        names = argument_names(tensor)
        if not names and (name := name_in_frames(tensor, self._frame)):
            names = (name,)
        if isinstance(tensor, nn.Parameter):
            return "parameter", names
        inside = self.of(tensor)[0] is not None
        return ("constant" if inside and not tensor.requires_grad else "input"), names


def definition(node: Any) -> Place | None:
    """Return where a custom function of the user's was defined, else the line that runs now."""
    function = getattr(type(node), "_forward_cls", None)
    defined = None if function is None else function.forward.__code__
    return place(2) if defined is None or is_hidden(defined) else (defined, 0)
