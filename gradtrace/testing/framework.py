"""What the author of a backend supplies, so that the contract can run programs in the framework."""

from __future__ import annotations

import unittest
from typing import Any, ClassVar, NoReturn

import numpy as np
import numpy.typing as npt

import gradtrace
from gradtrace.graph import Graph

__all__ = ["Framework"]

Numbers = float | list[float]


class Framework:
    """A framework, in the few operations that the contract needs.

    Override `backend`, `leaf`, `elements` and `gradient`. Override the rest where the framework
    spells it in another way, or can do it at all: a test that needs more is skipped.
    """

    backend: ClassVar[str]
    """Name under which the backend is declared in the entry points `gradtrace.backends`."""

    def leaf(self, numbers: Numbers) -> Any:
        """Return a new float64 value of these numbers that gradients flow back to.

        `numbers` is a float, or a list of floats. Call `self.cannot("vectors")` if there are
        floats only.
        """
        raise NotImplementedError("say how the framework makes a leaf: override leaf()")

    def elements(self, value: Any) -> npt.ArrayLike:
        """Return the numbers of a value as an array."""
        raise NotImplementedError("say how numbers are read: override elements()")

    def gradient(self, leaf: Any) -> npt.ArrayLike:
        """Return the gradient that backward passes left on a leaf."""
        raise NotImplementedError("say where gradients are left: override gradient()")

    def add(self, x: Any, y: Any) -> Any:
        """Return x + y, by one call."""
        return x + y

    def multiply(self, x: Any, y: Any) -> Any:
        """Return x · y, element by element, by one call."""
        return x * y

    def backward(self, output: Any) -> None:
        """Run a backward pass from a scalar."""
        output.backward()

    def backward_from(self, output: Any, seed: list[float]) -> None:
        """Run a backward pass from a vector, given its upstream gradient."""
        self.cannot("backward pass from a vector")

    def total(self, x: Any) -> Any:
        """Return the sum of a vector, by one call."""
        self.cannot("sum of a vector")

    def halves(self, x: Any) -> Any:
        """Return the two halves of a vector, by one call with two results."""
        self.cannot("call with two results")

    def compared(self, x: Any) -> Any:
        """Return x > 2, as a factor of a product, by calls that no gradient flows through."""
        self.cannot("call without a derivative")

    def fill(self, leaf: Any, number: float) -> None:
        """Write over the numbers of a leaf in place."""
        self.cannot("writing in place")

    def model(self, numbers: dict[str, float]) -> dict[str, Any]:
        """Return a model, or what serves as one, that holds parameters by these names.

        It may be any object from which `model[name]` returns the parameter of that name.
        """
        self.cannot("models")

    def reseed(self) -> None:
        """Set the random state of the framework; that of NumPy unless overridden."""
        np.random.seed(0)

    def chance(self) -> float:
        """Return the next random number of the framework; that of NumPy unless overridden."""
        return float(np.random.random())

    def cannot(self, what: str) -> NoReturn:
        """Skip the test: the framework does not have what it needs."""
        raise unittest.SkipTest(f"{type(self).__name__} has no {what}")

    def traced(self, program: Any, *operands: Any, **options: Any) -> Graph:
        """Return the graph of `program(*operands)`, everything kept and exact unless told."""
        options = {"keep": "all", "derivatives": "exact", "backend": self.backend, **options}
        with gradtrace.trace(**options) as graph:
            program(*operands)
        return graph

    def polynomial(self, x: Any, y: Any) -> Any:
        """Compute x·x + x·y with its gradients, 2x + y and x; return it.

        At x = 3 and y = 2 the values are 3, 2, 9, 6 and 15, each of which occurs once.
        """
        loss = self.forward(x, y)
        self.backward(loss)
        return loss

    def forward(self, x: Any, y: Any) -> Any:
        """Return x·x + x·y without its gradients."""
        return self.add(self.multiply(x, x), self.multiply(x, y))

    def point(self) -> tuple[Any, Any]:
        """Return new leaves x = 3 and y = 2."""
        return self.leaf(3.0), self.leaf(2.0)

    def read(self, value: Any) -> npt.NDArray[np.float64]:
        """Return the numbers of a value as a copy in float64."""
        return np.array(self.elements(value), dtype=np.float64)
