"""The contract of a backend, as its author runs it: with what the abacus can do, and no more."""

from __future__ import annotations

import abacus

from gradtrace.testing import BackendContract


class TestAbacus(BackendContract):
    """The abacus has numbers only."""

    backend = "abacus"

    def leaf(self, numbers: float | list[float]) -> abacus.Number:
        """Return a number; there are no lists of them."""
        if isinstance(numbers, list):
            self.cannot("vectors")
        return abacus.Number(numbers)

    def elements(self, value: abacus.Number) -> float:
        """Return the number itself."""
        return value.value

    def gradient(self, leaf: abacus.Number) -> float:
        """Return the gradient of a number."""
        return leaf.gradient

    def fill(self, leaf: abacus.Number, number: float) -> None:
        """Let the number be another one."""
        leaf.value = number
