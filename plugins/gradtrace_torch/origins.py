"""Where tensors came from that no recorded call made."""

from __future__ import annotations

import weakref
from typing import Any

from torch import Tensor

from gradtrace_torch.sources import Place, is_hidden, place

__all__ = ["Origins", "definition"]


class Origins:
    """The operation and the user's line behind each tensor that was made out of nothing."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[weakref.ref[Tensor], str, Place | None]] = {}

    def set(self, tensor: Tensor, op: str, where: Place | None) -> None:
        """Remember that `op` made `tensor`; it is a leaf once it is used."""
        self._known[id(tensor)] = (weakref.ref(tensor), op, where)

    def of(self, tensor: Tensor) -> tuple[str | None, Place | None]:
        """Return what made `tensor`, and where; None twice if it comes from outside the block."""
        reference, op, where = self._known.get(id(tensor), (None, None, None))
        known = reference is not None and reference() is tensor
        return (op, where) if known else (None, None)


def definition(node: Any) -> Place | None:
    """Return where a custom function of the user's was defined, else the line that runs now."""
    function = getattr(type(node), "_forward_cls", None)
    defined = None if function is None else function.forward.__code__
    return place(2) if defined is None or is_hidden(defined) else (defined, 0)
