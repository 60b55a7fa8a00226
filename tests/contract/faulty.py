"""A backend with a fault, so that the contract can be seen to fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from gradtrace.summary import Summary
from gradtrace.tape import Call, EdgeRecord, Leaf, NodeRecord, Tape, Use, Value
from gradtrace_torch import TorchBackend

__all__ = [
    "Fault",
    "Faulty",
    "calls",
    "derivatives",
    "for_each",
    "leaves",
    "scaled",
    "uses",
    "values",
]

Records = tuple[list[NodeRecord], list[EdgeRecord]]


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong, as a change to what a good backend does."""

    name: str
    seen_by: str
    """The tests that must fail, without their `test_`."""
    tape: Callable[[Tape], object] = lambda tape: None
    records: Callable[[list[NodeRecord], list[EdgeRecord]], object] = lambda nodes, edges: None
    options: dict[str, Any] = field(default_factory=dict)
    around: Callable[[], AbstractContextManager[object]] = nullcontext
    attributes: dict[str, Any] = field(default_factory=dict)


class Faulty:
    """The PyTorch backend with a fault."""

    name = "torch"
    framework = "torch"

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        vars(self).update(fault.attributes)

    def recognizes(self, value: object) -> bool:
        return isinstance(value, torch.Tensor)

    @contextmanager
    def record(self, tape: Tape, options: Any, model: Any = None) -> Iterator[None]:
        try:
            with (
                TorchBackend().record(tape, replace(options, **self.fault.options), model),
                self.fault.around(),
            ):
                yield
        finally:
            tape.relevant()
            self.fault.tape(tape)


def values(tape: Tape) -> Iterator[Value]:
    for step in tape.steps:
        yield from [step.value] if isinstance(step, Leaf) else step.results


def leaves(tape: Tape) -> list[Leaf]:
    return [step for step in tape.steps if isinstance(step, Leaf)]


def calls(tape: Tape) -> list[Call]:
    return [step for step in tape.steps if isinstance(step, Call)]


def uses(tape: Tape) -> Iterator[Use]:
    for call in calls(tape):
        yield from call.uses


def scaled(summary: Summary | None) -> Summary | None:
    return summary and Summary.of(2 * np.asarray(summary.array), keep=True)


def for_each(find: Callable[[Tape], Any], **changes: Callable[[Any], Any]) -> Callable[..., None]:
    """Return a fault that changes these attributes of everything that `find` finds."""

    def change(tape: Tape) -> None:
        for each in list(find(tape)):
            for name, new in changes.items():
                setattr(each, name, new(each))

    return change


def derivatives(**changes: Any) -> Callable[[Tape], None]:
    """Return a fault that replaces these attributes of every local derivative."""
    return for_each(
        uses, derivative=lambda use: use.derivative and replace(use.derivative, **changes)
    )
