"""Which value a tensor holds now."""

from __future__ import annotations

import weakref

from torch import Tensor

from gradtrace_torch.live import LiveValue

__all__ = ["Identities", "version_of"]


def version_of(tensor: Tensor) -> int:
    """Return how often `tensor` was written to; inference tensors do not count."""
    try:
        return tensor._version
    except RuntimeError:
        return -1


class Identities:
    """The values of tensors that are alive, without keeping them alive.

    A tensor object holds another value each time it is written to: its version tells.
    """

    def __init__(self) -> None:
        self._entries: dict[int, tuple[weakref.ref[Tensor], int, LiveValue]] = {}

    def set(self, tensor: Tensor, value: LiveValue) -> None:
        """Let `tensor` hold `value` from now on."""
        self._entries[id(tensor)] = (weakref.ref(tensor), version_of(tensor), value)

    def current(self, tensor: Tensor) -> LiveValue | None:
        """Return the value that `tensor` holds, None if it was written to or is unknown."""
        entry = self._entries.get(id(tensor))
        if entry is None or entry[0]() is not tensor or entry[1] != version_of(tensor):
            return None
        value = entry[2]
        return value if value.edge is not None or not tensor.requires_grad else None

    def last(self, tensor: Tensor) -> LiveValue | None:
        """Return the value that `tensor` held when it was last seen."""
        entry = self._entries.get(id(tensor))
        return entry[2] if entry is not None and entry[0]() is tensor else None

    def was_written_to(self, tensor: Tensor) -> bool:
        """Tell whether `tensor` was written to since it was last seen."""
        return self._entries[id(tensor)][1] != version_of(tensor)

    def living(self) -> list[Tensor]:
        """Return the tensors that are still alive."""
        found = [entry[0]() for entry in self._entries.values()]
        return [tensor for tensor in found if tensor is not None]
