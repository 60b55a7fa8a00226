"""A problem: a program over operations that both engines have, with inputs by seed.

>>> PROBLEMS["logistic"].name
'logistic'
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = [
    "PROBLEMS",
    "Draw",
    "Problem",
    "draws",
    "given",
    "labels",
    "normal",
    "positive",
    "problem",
]

Draw = Callable[[np.random.Generator], np.ndarray[Any, Any]]
"""Makes an input: a leaf of floats, an array of integers, or floats that are `given`."""

PROBLEMS: dict[str, Problem] = {}
"""Every problem by its name."""


@dataclass(frozen=True)
class Problem:
    """One program, whose output is a value or a tuple of them."""

    name: str
    program: Callable[..., Any]
    inputs: tuple[Draw, ...]

    def draw(self) -> list[Any]:
        """Return its inputs, the same each time."""
        rng = np.random.default_rng(sum(map(ord, self.name)))
        return [draw(rng) for draw in self.inputs]


class Given(np.ndarray[Any, Any]):
    """Floats that no gradient is asked for."""


def problem(*inputs: Draw) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Enter the function that follows as a problem with these inputs."""

    def enter(program: Callable[..., Any]) -> Callable[..., Any]:
        name = program.__name__
        assert name not in PROBLEMS, f"two problems are called {name}"
        PROBLEMS[name] = Problem(name, program, inputs)
        return program

    return enter


def normal(*shape: int, scale: float = 1.0) -> Draw:
    return lambda rng: scale * rng.normal(size=shape)


def positive(*shape: int) -> Draw:
    return lambda rng: 0.5 + rng.random(size=shape)


def given(*shape: int) -> Draw:
    return lambda rng: rng.normal(size=shape).view(Given) if shape else Given(())


def labels(*shape: int, classes: int) -> Draw:
    return lambda rng: rng.integers(classes, size=shape)


def draws(array: Any) -> str:
    """Tell what an input is: `leaf`, `given` or `integers`."""
    if isinstance(array, Given):
        return "given"
    return "integers" if np.issubdtype(array.dtype, np.integer) else "leaf"
