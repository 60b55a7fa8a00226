"""Steps down the gradient."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradtrace.errors import OptionError
from gradtrace_numpy.arrays import Array, NDArray, plain
from gradtrace_numpy.errors import BackwardError
from gradtrace_numpy.listening import followers
from gradtrace_numpy.models import arrays_in

__all__ = ["SGD", "Adam", "Optimizer", "clip_gradients"]


class Optimizer:
    """Holds parameters, given as a list, a dict, or a model that holds them."""

    def __init__(self, parameters: Any, lr: float) -> None:
        found = {array.serial: array for _, array in arrays_in(_listed(parameters))}
        self.parameters = [array for array in found.values() if array.differentiable]
        self.lr = lr
        if not self.parameters:
            raise BackwardError("an optimizer needs differentiable arrays, and was given none")

    def zero_grad(self) -> None:
        """Forget all gradients, before the next backward pass adds new ones."""
        for parameter in self.parameters:
            parameter.grad = None

    def step(self) -> None:
        """Move every parameter that has a gradient."""
        for each in followers():
            each.stepping(self)
        for index, parameter in enumerate(self.parameters):
            if parameter.grad is not None:
                parameter.data = parameter.data - self._move(index, plain(parameter.grad))
        for each in followers():
            each.stepped(self)

    def _move(self, index: int, gradient: NDArray) -> NDArray:
        raise NotImplementedError


class SGD(Optimizer):
    """Stochastic gradient descent: v ← momentum · v + gradient, parameter ← parameter − lr · v.

    >>> from gradtrace_numpy import parameter
    >>> w = parameter([1.0])
    >>> (w * w).sum().backward()
    >>> SGD([w], lr=0.1).step()
    >>> w.data
    array([0.8])
    """

    def __init__(self, parameters: Any, lr: float = 0.01, *, momentum: float = 0.0) -> None:
        super().__init__(parameters, lr)
        self.momentum = momentum
        self._velocity: dict[int, NDArray] = {}

    def _move(self, index: int, gradient: NDArray) -> NDArray:
        velocity = gradient
        if self.momentum and index in self._velocity:
            velocity = self.momentum * self._velocity[index] + gradient
        self._velocity[index] = velocity
        return self.lr * velocity


class Adam(Optimizer):
    """Adam (Kingma and Ba, 2015): gradients over the root of their running square."""

    def __init__(
        self,
        parameters: Any,
        lr: float = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        super().__init__(parameters, lr)
        self.betas = betas
        self.eps = eps
        self._moments: dict[int, tuple[int, NDArray, NDArray]] = {}

    def _move(self, index: int, gradient: NDArray) -> NDArray:
        zero = np.zeros_like(gradient)
        count, mean, square = self._moments.get(index, (0, zero, zero))
        first, second = self.betas
        count += 1
        mean = first * mean + (1 - first) * gradient
        square = second * square + (1 - second) * gradient**2
        self._moments[index] = (count, mean, square)
        root = np.sqrt(square / (1 - second**count)) + self.eps
        moved: NDArray = self.lr * (mean / (1 - first**count)) / root
        return moved


def clip_gradients(parameters: Any, max_norm: float) -> float:
    """Scale all gradients together so that their joint norm is at most `max_norm`; return it.

    The norm that is returned is the one before.
    """
    if not max_norm >= 0:
        raise OptionError(f"max_norm={max_norm!r} is no length; pass a number from 0 on")
    arrays = {array.serial: array for _, array in arrays_in(_listed(parameters))}
    held = [array for array in arrays.values() if array.grad is not None]
    norm = math.hypot(*(float(np.linalg.norm(plain(array.grad))) for array in held))
    if norm > max_norm:
        for array in held:
            array.grad = array.grad * (max_norm / norm)
    return norm


def _listed(parameters: Any) -> Any:
    """Return what an iterator such as `params.values()` yields, as a list."""
    if isinstance(parameters, Array):
        return [parameters]
    once = hasattr(parameters, "__iter__") and not hasattr(parameters, "__getitem__")
    return list(parameters) if once else parameters
