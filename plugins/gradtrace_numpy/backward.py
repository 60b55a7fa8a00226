"""Reverse accumulation: upstream × local derivative = downstream, from the output to the leaves."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gradtrace_numpy.errors import BackwardError
from gradtrace_numpy.listening import listener

if TYPE_CHECKING:
    from gradtrace_numpy.arrays import Array
    from gradtrace_numpy.calls import Call

__all__ = ["backward", "why_not"]

Found = list[tuple["Array", Any]]


def backward(
    outputs: Sequence[tuple[Array, Any]], *, keep_graph: bool = False, create_graph: bool = False
) -> Found:
    """Return the gradient of `outputs`, each with its seed, by every array they were made from.

    Calls are gone through in the reverse of the order in which they were made. When the turn
    comes to a call, every call that used its results has passed its share back already.
    """
    sweep = _Sweep(create_graph)
    hears = listener()
    for output, given in outputs:
        seed = sweep.seed(output, given)
        if hears is not None:
            hears.began(output, seed)
        sweep.add(output, seed)
    with np.errstate(all="ignore"):  # a gradient that is NaN is a finding, not a warning
        while sweep.waiting:
            call = heapq.heappop(sweep.waiting)[1]
            sweep.pull_through(call)
            if not (keep_graph or create_graph):
                call.free()
    found = list(sweep.gradients.values())
    if hears is not None:
        for array, gradient in found:
            hears.arrived(array, gradient)
    return found


class _Sweep:
    """The gradients found so far, with the calls whose turn will come."""

    def __init__(self, create_graph: bool) -> None:
        self.gradients: dict[int, tuple[Array, Any]] = {}
        self.waiting: list[tuple[int, Call]] = []
        self._met: set[int] = set()
        self._create_graph = create_graph

    def seed(self, output: Array, given: Any) -> Any:
        """Return the upstream gradient with which the pass begins at `output`."""
        if not output.differentiable:
            raise BackwardError(why_not(output))
        if given is None and output.size != 1:
            raise BackwardError(
                f"backward() from {output.label} needs a seed: only of a scalar is the upstream "
                f"gradient 1. Reduce it first (x.sum(), x.mean()), or pass backward(seed) with "
                f"a seed of shape {output.shape}"
            )
        seed = np.ones(output.shape, output.dtype) if given is None else _plain(given)
        if seed.shape != output.shape:
            raise BackwardError(
                f"a seed of shape {seed.shape} does not fit {output.label}; "
                f"a seed has the shape of the array where the pass begins"
            )
        seed = seed.astype(output.dtype)
        if not self._create_graph:
            return seed
        return given if type(given) is type(output) else type(output)(seed, differentiable=False)

    def add(self, array: Array, share: Any) -> None:
        """Add `share` to the gradient of `array`, and let its call wait for its turn."""
        key = array.serial
        if key in self.gradients:
            self.gradients[key] = (array, self.gradients[key][1] + share)
            return
        self.gradients[key] = (array, share)
        call = array.call
        if call is not None and call.serial not in self._met:
            self._met.add(call.serial)
            heapq.heappush(self.waiting, (-call.serial, call))

    def pull_through(self, call: Call) -> None:
        """Pass the upstream gradient of `call` back to its operands."""
        upstream = [self._upstream(call, index) for index in range(len(call.results))]
        hears = listener()
        for position, operand in call.flows():
            share = call.pull(position, upstream, traced=self._create_graph)
            if hears is not None:
                hears.passed(call, position, share)
            self.add(operand, share)

    def _upstream(self, call: Call, index: int) -> Any:
        result = call.results[index]()
        return None if result is None else self.gradients.get(result.serial, (None, None))[1]


def _plain(given: Any) -> Any:
    return np.asarray(getattr(given, "data", given) if hasattr(given, "serial") else given)


def why_not(output: Array) -> str:
    """Return why an array has no gradient."""
    if output.dtype.kind in "iub":
        return (
            f"{output.label} holds {output.dtype}: integers and booleans have no gradient; "
            "compute it from arrays of floats, such as array([1.0, 2.0])"
        )
    if output.call is None:
        return f"{output.label} was made as not differentiable; array(..., differentiable=True)"
    return (
        f"{output.label} was made by {output.call.primitive.name} from nothing differentiable; "
        "gradients flow to arrays of floats made by gradtrace_numpy.array, and not through "
        "comparisons, integers, .data or detach()"
    )
