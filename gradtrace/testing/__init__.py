"""The contract that every backend keeps, as tests that its author runs.

Derive a test class from `BackendContract`, name the backend, say how its framework makes a leaf,
and let pytest collect it:

    from gradtrace.testing import BackendContract

    class TestAbacus(BackendContract):
        backend = "abacus"

        def leaf(self, numbers):
            return abacus.Number(numbers)

        def elements(self, value):
            return value.value

        def gradient(self, leaf):
            return leaf.gradient

A framework that has vectors, calls with several results, or calls without a derivative says so
by overriding more of `Framework`; what it does not override is skipped, visibly. No test needs a
particular runner: each is a method that raises AssertionError, with what is wrong as its message.
"""

from gradtrace.testing.aftermath import Aftermath
from gradtrace.testing.framework import Framework
from gradtrace.testing.numbers import Numbers
from gradtrace.testing.options import Options
from gradtrace.testing.structure import Structure

__all__ = ["BackendContract", "Framework"]


class BackendContract(Structure, Numbers, Options, Aftermath):
    """All tests of the contract."""
