"""Operands of drawn shapes and values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st

__all__ = [
    "MATRICES",
    "SHAPES",
    "SIDES",
    "Draw",
    "Problem",
    "axes_of",
    "of_shape",
    "pair",
    "pairs_of_shapes",
    "spread",
    "unary",
    "with_arguments",
]

Draw = Callable[[Any, np.random.Generator], "Problem"]


@dataclass(frozen=True)
class Problem:
    """Operands and arguments of one call."""

    operands: tuple[Any, ...]
    arguments: dict[str, Any] = field(default_factory=dict)


def spread(
    rng: np.random.Generator, shape: tuple[int, ...], low: float = -2.0, high: float = 2.0
) -> Any:
    """Return numbers in random order, none close to another: no ties, no kinks nearby."""
    size = int(np.prod(shape))
    step = (high - low) / max(size, 1)
    places = low + step * (rng.permutation(size) + rng.uniform(0.2, 0.8, size))
    return places.reshape(shape)


SHAPES = st.lists(st.integers(1, 3), max_size=3).map(tuple)
MATRICES = st.lists(st.integers(1, 3), min_size=2, max_size=3).map(tuple)
SIDES = st.integers(1, 4)


@st.composite
def pairs_of_shapes(draw: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Draw two shapes that broadcast, each perhaps with axes left out or of length 1."""
    whole = draw(SHAPES)
    return _shrunk(draw, whole), _shrunk(draw, whole)


def _shrunk(draw: Any, whole: tuple[int, ...]) -> tuple[int, ...]:
    kept = whole[draw(st.integers(0, len(whole))) :]
    return tuple(1 if draw(st.booleans()) else size for size in kept)


def axes_of(draw: Any, rank: int) -> dict[str, Any]:
    choices: list[Any] = [None, *range(-rank, rank)]
    if rank > 1:
        choices.append((0, rank - 1))
    return {"axis": draw(st.sampled_from(choices)), "keepdims": draw(st.booleans())}


def with_arguments(**choices: list[Any]) -> Draw:
    """Draw a matrix or a stack of matrices, with each argument one of some."""

    def make(draw: Any, rng: np.random.Generator) -> Problem:
        arguments = {name: draw(st.sampled_from(each)) for name, each in choices.items()}
        return Problem((spread(rng, draw(MATRICES)),), arguments)

    return make


def of_shape(shape: tuple[int, ...], /, **choices: list[Any]) -> Draw:
    """Draw an array of `shape`, with each argument one of some."""

    def make(draw: Any, rng: np.random.Generator) -> Problem:
        arguments = {name: draw(st.sampled_from(each)) for name, each in choices.items()}
        return Problem((spread(rng, shape),), arguments)

    return make


def unary(low: float, high: float) -> Draw:
    return lambda draw, rng: Problem((spread(rng, draw(SHAPES), low, high),))


def pair(left: tuple[float, float], right: tuple[float, float]) -> Draw:
    def make(draw: Any, rng: np.random.Generator) -> Problem:
        a, b = draw(pairs_of_shapes())
        return Problem((spread(rng, a, *left), spread(rng, b, *right)))

    return make
