"""The numbers of some consecutive steps, by node and by scope, for the rules that watch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from gradtrace.recording.packing import columns_of
from gradtrace.recording.sample import FIELDS, Series, Step

__all__ = ["Block", "Flags", "Floats", "Plan", "Window"]

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

POSITION = {field: position for position, field in enumerate(FIELDS)}


@dataclass(frozen=True)
class Block:
    """A number for each step and each node, with where it is known."""

    nodes: tuple[str, ...]
    numbers: Floats
    known: Flags


class Plan:
    """Where in the statistics of a layout the numbers of each quantity and scope are."""

    def __init__(self, series: tuple[Series, ...]) -> None:
        self.series = series
        self.columns = columns_of(series)
        self._scopes: dict[str, tuple[tuple[str, ...], Floats]] = {}

    def of(self, quantity: str) -> list[Series]:
        """Return the series of a quantity, in forward order."""
        return [self.series[column] for column in self.columns.get(quantity, [])]

    def scopes(self, quantity: str) -> tuple[tuple[str, ...], Floats]:
        """Return the scopes in which a quantity is, with the matrix that adds up over each."""
        if quantity not in self._scopes:
            homes = [each.scope or each.node for each in self.of(quantity)]
            scopes = tuple(dict.fromkeys(homes))
            adds = np.array([[home == scope for scope in scopes] for home in homes], dtype=float)
            self._scopes[quantity] = scopes, adds.reshape(len(homes), len(scopes))
        return self._scopes[quantity]


class Window:
    """Consecutive steps of one layout, of a session of which `seen` steps came before."""

    def __init__(self, plan: Plan, steps: Sequence[Step], seen: int) -> None:
        self.plan = plan
        self.indices = [step.index for step in steps]
        self.scalars = [step.scalars for step in steps]
        self.ages = np.arange(seen, seen + len(steps))
        """How many steps of the session came before each."""
        self._statistics = np.stack([step.statistics for step in steps])

    def age(self, row: int) -> int:
        """Return how many steps of the session came before that of a row."""
        return int(self.ages[row])

    def field(self, quantity: str, field: str) -> Floats:
        """Return a statistic of a quantity, a row for each step, a column for each series."""
        return self._statistics[:, self.plan.columns.get(quantity, []), POSITION[field]]

    def share(self, quantity: str, field: str) -> Floats:
        """Return the share of the elements that `field` counts; NaN where it is not known."""
        with np.errstate(all="ignore"):
            return self.field(quantity, field) / self.field(quantity, "count")

    @property
    def gradient(self) -> str:
        """The name of the gradient before clipping, where that is recorded."""
        before = "unclipped gradient"
        return before if before in self.plan.columns else "gradient"

    @cached_property
    def gradients(self) -> Block:
        """The gradient's norm over the parameters of each scope, the larger of before and after."""
        return self._larger(self.norms)

    @cached_property
    def gradient_rms(self) -> Block:
        """The gradient's rms over the parameters of each scope."""
        return self._larger(self.rms)

    def _larger(self, measure: Callable[[str], Block]) -> Block:
        """Measure the gradient before and after clipping: the loop may change it in between."""
        after, before = measure("gradient"), measure("unclipped gradient")
        if before.nodes != after.nodes:
            return before if before.nodes else after
        numbers = np.fmax(
            np.where(after.known, after.numbers, 0.0), np.where(before.known, before.numbers, 0.0)
        )
        return Block(after.nodes, numbers, after.known | before.known)

    def norms(self, quantity: str) -> Block:
        """Return the norm of a quantity over all parameters of each scope."""
        squares = self._by_scope(quantity, "sumsq")
        return Block(squares.nodes, np.sqrt(squares.numbers), squares.known)

    def rms(self, quantity: str) -> Block:
        """Return the rms of a quantity over all parameters of each scope."""
        squares, counts = self._by_scope(quantity, "sumsq"), self._by_scope(quantity, "count")
        known = squares.known & (counts.numbers > 0)
        return Block(
            squares.nodes, np.sqrt(squares.numbers / np.where(known, counts.numbers, 1.0)), known
        )

    def _by_scope(self, quantity: str, field: str) -> Block:
        """Add up over the parameters of each scope; only what is finite in all of them is known."""
        scopes, adds = self.plan.scopes(quantity)
        numbers = self.field(quantity, field)
        computed = ~np.isnan(self.field(quantity, "count"))
        spoilt = computed & ~(np.isfinite(numbers) & ~(self.field(quantity, "nonfinite") > 0))
        whole = np.where(computed & ~spoilt, numbers, 0.0) @ adds
        return Block(scopes, whole, (computed @ adds > 0) & ~(spoilt @ adds > 0))
