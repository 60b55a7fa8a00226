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

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from gradtrace.sources import hide
from gradtrace.tape import Options, Tape
from gradtrace_numpy import rules
from gradtrace_numpy.arrays import Array
from gradtrace_numpy.checking import GradientCheck, OperandCheck, check_gradient
from gradtrace_numpy.creation import array, gradients, parameter
from gradtrace_numpy.errors import (
    BackwardError,
    GradientCheckError,
    InPlaceError,
    LeavesTraceError,
    NoDerivativeError,
    ShapeError,
)
from gradtrace_numpy.functions import (
    attention,
    avg_pool2d,
    batch_norm,
    binary_cross_entropy,
    conv2d,
    cross_entropy,
    dropout,
    embedding,
    gelu,
    layer_norm,
    leaky_relu,
    linear,
    log_softmax,
    lstm_cell,
    max_pool2d,
    mse,
    relu,
    rnn_cell,
    sigmoid,
    softmax,
    softplus,
    tanh,
)
from gradtrace_numpy.models import arrays_in
from gradtrace_numpy.optimizers import SGD, Adam, clip_gradients
from gradtrace_numpy.primitive import Primitive, primitive, table
from gradtrace_numpy.recorder import record
from gradtrace_numpy.scopes import scope

if TYPE_CHECKING:
    from gradtrace.recording.observer import Follower, Moments

__all__ = [
    "SGD",
    "Adam",
    "Array",
    "BackwardError",
    "GradientCheck",
    "GradientCheckError",
    "InPlaceError",
    "LeavesTraceError",
    "NoDerivativeError",
    "NumpyBackend",
    "OperandCheck",
    "Primitive",
    "ShapeError",
    "array",
    "attention",
    "avg_pool2d",
    "batch_norm",
    "binary_cross_entropy",
    "check_gradient",
    "clip_gradients",
    "conv2d",
    "cross_entropy",
    "dropout",
    "embedding",
    "gelu",
    "gradients",
    "layer_norm",
    "leaky_relu",
    "linear",
    "log_softmax",
    "lstm_cell",
    "max_pool2d",
    "mse",
    "parameter",
    "primitive",
    "relu",
    "rnn_cell",
    "rules",
    "scope",
    "sigmoid",
    "softmax",
    "softplus",
    "table",
    "tanh",
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

    def follow(
        self,
        model: Any,
        optimizers: tuple[Any, ...],
        wanted: Callable[[str], bool],
        moments: Moments,
    ) -> Follower:
        """Return a follower of a model while it trains."""
        from gradtrace_numpy.follower import NumpyFollower

        return NumpyFollower(model, optimizers, wanted, moments)
