"""The contract by which a backend follows a model that trains."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, Protocol, runtime_checkable

from gradtrace.backends import backends_for
from gradtrace.errors import BackendError
from gradtrace.recording.ledger import Reading

__all__ = [
    "ENDS",
    "LARGE",
    "NEAR",
    "Follower",
    "Moments",
    "Observer",
    "Schedule",
    "follower_of",
    "schedule_at",
]


LARGE = 2**15
"""Elements of a tensor above which it is large: reading it costs more than all else about it."""

ENDS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "sigmoid": (0, 1),
        "hardsigmoid": (0, 1),
        "softmax": (0, 1),
        "tanh": (-1, 1),
        "softsign": (-1, 1),
    }
)
"""Operations that saturate, with the ends of what they give."""

NEAR = 1 / 400
"""Of the way between the ends: there the derivative of tanh and sigmoid is 1 % of its largest."""


class Moments(Protocol):
    """What a follower tells the recorder while the model trains."""

    def working(self) -> None:
        """Say that a forward or backward pass runs, or an optimizer is about to step."""
        ...

    def optimized(self, optimizer: object) -> None:
        """Say that `optimizer` has stepped."""
        ...


@dataclass(frozen=True, slots=True)
class Schedule:
    """What is measured in one step."""

    measured: bool = True
    """Whether anything is."""
    large: bool = True
    """Whether large tensors are looked at: outputs of modules, gradients there, and by how much
    parameters move."""
    histograms: bool = False


def schedule_at(index: int, every: int, large_every: int, histograms_every: int | None) -> Schedule:
    """Return what is measured in step `index`.

    >>> schedule_at(8, 2, 4, None)
    Schedule(measured=True, large=True, histograms=False)
    """

    def due(interval: int | None) -> bool:
        return interval is not None and index // every % max(1, interval // every) == 0

    if index % every:
        return _schedule(False, False, False)
    return _schedule(True, due(large_every), due(histograms_every))


_schedule = cache(Schedule)


class Follower(Protocol):
    """Follows one model from `start` to `stop`, and leaves nothing behind.

    After `start`, and after each `take`, `begin` says how the next step is measured.
    """

    rank: int
    """Number of this process among those that train together."""
    facts: Mapping[str, Any]
    """What there is to say of model, versions and device."""
    traceable: bool
    """Whether tracing a step changes none of its numbers."""

    def start(self) -> None:
        """Put hooks where they are needed."""
        ...

    def begin(self, schedule: Schedule) -> None:
        """Measure the next step as `schedule` says."""
        ...

    def mark(self) -> None:
        """Remember that a step may have ended here."""
        ...

    def take(self, scalars: Mapping[str, Any], *, whole: bool) -> list[Reading]:
        """Return what was measured since the last time, with `scalars` of the user's.

        It is one reading if it is `whole`, else one for each mark and one for what came after it.
        """
        ...

    def quiet(self, *, tracing: bool) -> bool:
        """Tell whether a trace can begin here, or end if it is `tracing`."""
        ...

    def gather(self, data: bytes) -> list[bytes]:
        """Return what each process that trains with this one gives, all at the same time."""
        ...

    def stop(self) -> None:
        """Remove every hook."""
        ...


@runtime_checkable
class Observer(Protocol):
    """A backend that can follow a model: one with this method more than `Backend` asks for."""

    def follow(
        self,
        model: Any,
        optimizers: tuple[Any, ...],
        wanted: Callable[[str], bool],
        moments: Moments,
    ) -> Follower:
        """Return a follower of `model`, of the nodes in it whose names are `wanted`.

        Where no `optimizers` are given, it follows those that step parameters of the model.
        """
        ...


def follower_of(
    model: Any,
    optimizers: tuple[Any, ...],
    wanted: Callable[[str], bool],
    moments: Moments,
) -> Follower:
    """Return a follower of `model`, from the backend that it belongs to."""
    backend = backends_for(model, None)[0]
    if not isinstance(backend, Observer):
        raise BackendError(
            f"the backend {backend.name!r} cannot follow a model through its training; "
            "it can trace single steps: gradtrace.trace(model)"
        )
    return backend.follow(model, optimizers, wanted, moments)
