"""Transforms of `torch.func`, inside which nothing is recorded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch._C._functorch import get_interpreter_stack, peek_interpreter_stack

__all__ = ["Transforms"]


class Transforms:
    """Remembers which autograd nodes the transforms of a run made, by their sequence numbers."""

    def __init__(self) -> None:
        self._spans: list[tuple[str, range]] = []

    @staticmethod
    def running() -> bool:
        """Tell whether a transform runs now."""
        return peek_interpreter_stack() is not None

    def run(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run a call inside a transform."""
        outermost = get_interpreter_stack()[0].key().name.lower()
        begin = _next_number()
        try:
            return func(*args, **kwargs)
        finally:
            self._spans.append((outermost, range(begin, _next_number())))

    def made(self, node: Any) -> str | None:
        """Return the name of the outermost transform that made `node`, None if none did."""
        number = node._sequence_nr()
        return next((name for name, span in reversed(self._spans) if number in span), None)


def _next_number() -> int:
    """Return the sequence number of the next autograd node of this thread."""
    number: int = torch.autograd._get_sequence_nr()  # type: ignore[attr-defined]
    return number
