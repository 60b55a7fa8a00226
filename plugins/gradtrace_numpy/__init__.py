"""The NumPy reference engine of gradtrace: plain NumPy code, with gradients.

Wrap what gradients are wanted for with `array`, and write NumPy.

>>> import numpy as np
>>> import gradtrace_numpy as gn
>>> x = gn.array([0.0, 1.0])
>>> loss = np.sum(1 / (1 + np.exp(-x)))
>>> loss.backward()
>>> x.grad.round(4)
array([0.25  , 0.1966])
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from gradtrace.sources import hide
from gradtrace.tape import Options, Tape
from gradtrace_numpy import rules
from gradtrace_numpy.arrays import Array, array, parameter
from gradtrace_numpy.models import arrays_in
from gradtrace_numpy.primitive import Primitive, primitive, table
from gradtrace_numpy.recorder import record
from gradtrace_numpy.scopes import scope

__all__ = [
    "Array",
    "NumpyBackend",
    "Primitive",
    "array",
    "parameter",
    "primitive",
    "rules",
    "scope",
    "table",
]

hide(__file__)


class NumpyBackend:
    """Records the NumPy engine."""

    name = "numpy"
    framework = "numpy"

    def recognizes(self, value: object) -> bool:
        """Tell whether `value` is an array of the engine, or holds some."""
        return any(True for _ in arrays_in(value))

    def record(
        self, tape: Tape, options: Options, model: Any = None
    ) -> AbstractContextManager[None]:
        """Return a context that records what the engine does in it."""
        return record(tape, options, model)
