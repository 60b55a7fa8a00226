"""Where in some steps of a training a rule holds, with every threshold and its source."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradtrace.recording.window import Block, Flags, Floats, Window

__all__ = [
    "WARM_UP",
    "Verdict",
    "dead",
    "exploding_over_depth",
    "exploding_over_time",
    "jump",
    "large_update",
    "no_gradient",
    "nonfinite",
    "nonfinite_though_scaled",
    "saturated",
    "small_update",
    "vanishing",
    "zero_gradient",
]

WARM_UP = 20
"""Steps of a session that count for no patience: the first ones are unlike all others."""

SHRUNK = 1e-5
"""Of the largest gradient rms between a scope and the loss. Glorot and Bengio (2010, section 4)
want about 1; what is 6e-8 of another number is lost in a float32 sum."""

GROWN = 1e4
"""Times the largest gradient rms between a scope and the loss; the reverse of `SHRUNK`."""

RUNAWAY = 1e3
"""Times the largest gradient norm of the first `EARLY` steps. Pascanu, Mikolov and Bengio (2013)
clip at 0.5 to 10 times the usual norm."""

EARLY = 5

DEAD = 0.99
"""Share of zeros in what a ReLU returns, where He et al. (2015) count on one half; for other
operations all must be zero."""

SATURATED = 0.95
"""Share of elements at an end of the range. Glorot and Bengio (2010, section 3) call a
layer saturated whose usual activation is there."""

LARGE_UPDATE, SMALL_UPDATE = 0.2, 1e-6
"""Of the norm of the parameters. Karpathy (CS231n, "ratio of weights:updates") wants about 1e-3:
these are 200 times as much, and a thousandth; 6e-8 is lost to rounding in float32."""

SETTLED = 0.01
"""Of the early gradient norm: below it a training has arrived, and small updates are right."""

JUMP = 10.0
"""Times the largest norm of the last `HISTORY` steps. Of the largest, not of a mean: a batch of a
trained model often has a gradient of nearly nothing."""

HISTORY = 100

RELUS = frozenset({"relu", "relu6", "threshold"})

RANGES = frozenset({"sigmoid", "tanh", "hardsigmoid", "hardtanh", "softsign"})
"""Operations that should not be at an end of their range. Softmax is there in any sure answer."""

FORWARD = ("output",)

BACKWARD = (
    *("upstream gradient", "downstream gradient"),
    *("local gradient", "unclipped gradient", "gradient"),
)

AFTERWARDS = ("update", "value")
"""Values are those after the step, in which an optimizer spreads what is wrong with gradients."""


@dataclass(frozen=True)
class Verdict:
    """Where a rule holds: a row for each step, a column for each node."""

    nodes: tuple[str, ...]
    holds: Flags
    known: Flags
    """Where it can be told; the rest neither continues nor ends what was."""
    numbers: Mapping[str, Floats] = field(default_factory=dict)
    """Those that show it."""
    blamed: Callable[[int], str] | None = None
    """Names the node at a step, for a rule on the whole model, which has one column."""


def _any(flags: Flags) -> Flags:
    """Return whether a flag stands in each row, as a column."""
    found: Flags = np.logical_or.reduce(flags, axis=1, keepdims=True)
    return found


def nonfinite(window: Window, memory: dict[str, Any]) -> Verdict:
    """Find NaN or infinity: first in forward order, then in backward order, then in updates.

    Under a GradScaler, gradients that are not finite are how it finds its scale.
    """
    scaled = np.array(["scale" in each for each in window.scalars])[:, None]
    counts, names = [], []
    for quantity in FORWARD:
        counts.append(window.field(quantity, "nonfinite"))
        names += [each.node for each in window.plan.of(quantity)]
    for quantity in BACKWARD:
        counts.append(np.where(scaled, 0.0, window.field(quantity, "nonfinite"))[:, ::-1])
        names += [each.node for each in window.plan.of(quantity)][::-1]
    for quantity in AFTERWARDS:
        counts.append(window.field(quantity, "nonfinite"))
        names += [each.node for each in window.plan.of(quantity)]
    losses = [[not np.isfinite(each.get("loss", 0.0))] for each in window.scalars]
    return _first_of(np.concatenate([*counts, losses], axis=1), (*names, "loss"))


def nonfinite_though_scaled(window: Window, memory: dict[str, Any]) -> Verdict | None:
    """Find gradients that are not finite under a GradScaler, which should soon be over."""
    names = [each.node for each in window.plan.of(window.gradient)][::-1]
    known = np.array([["scale" in each] for each in window.scalars])
    if not names or not known.any():
        return None
    return _first_of(window.field(window.gradient, "nonfinite")[:, ::-1], names, known)


def _first_of(counts: Floats, names: Any, known: Flags | None = None) -> Verdict:
    """Return a verdict on the whole model that blames the first node with a count."""
    some = counts > 0
    first = some.argmax(axis=1)
    holds = _any(some)
    shown = np.take_along_axis(counts, first[:, None], axis=1)
    told = np.ones_like(holds) if known is None else known
    return Verdict(("",), holds, told, {"nonfinite": shown}, lambda row: str(names[first[row]]))


def _nearer_the_loss(rms: Block) -> Floats:
    """Return for each scope the largest rms of those after it in forward order."""
    numbers = np.where(rms.known, rms.numbers, 0.0)
    after = np.maximum.accumulate(numbers[:, ::-1], axis=1)[:, ::-1]
    return np.concatenate([after[:, 1:], np.zeros((len(numbers), 1))], axis=1)


def vanishing(window: Window, memory: dict[str, Any]) -> Verdict:
    """Find scopes whose gradient is far below that of a scope nearer the loss."""
    rms = window.gradient_rms
    above = _nearer_the_loss(rms)
    known = rms.known & (rms.numbers > 0) & (above > 0)
    numbers = {"rms": rms.numbers, "nearer the loss": above}
    return Verdict(rms.nodes, rms.numbers < SHRUNK * above, known, numbers)


def exploding_over_depth(window: Window, memory: dict[str, Any]) -> Verdict:
    """Find scopes whose gradient is far above that of every scope nearer the loss."""
    rms = window.gradient_rms
    above = _nearer_the_loss(rms)
    known = rms.known & (above > 0)
    numbers = {"rms": rms.numbers, "nearer the loss": above}
    return Verdict(rms.nodes, rms.numbers > GROWN * above, known, numbers)


def _early(window: Window, memory: dict[str, Any]) -> tuple[Floats, Flags, float]:
    """Return the norm of the whole gradient, where it is known, and the largest early one."""
    squares = np.where(window.gradients.known, window.gradients.numbers**2, 0.0)
    norm = np.sqrt(squares.sum(axis=1))[:, None]
    known = _any(window.gradients.known)
    early = norm[known & (window.ages < EARLY)[:, None]]
    memory["early"] = max(memory.get("early", 0.0), float(early.max(initial=0.0)))
    return norm, known & (window.ages >= EARLY)[:, None], memory["early"]


def exploding_over_time(window: Window, memory: dict[str, Any]) -> Verdict:
    """Find a gradient of the whole model far above that of the first steps."""
    norm, known, early = _early(window, memory)
    worst = np.where(window.gradients.known, window.gradients.numbers, -1.0)
    numbers = {"norm": norm, "early": np.full_like(norm, early)}
    blamed = worst.argmax(axis=1) if worst.size else np.zeros(len(norm), dtype=int)
    return Verdict(
        ("",),
        norm > RUNAWAY * early,
        known & (early > 0),
        numbers,
        lambda row: window.gradients.nodes[blamed[row]],
    )


def dead(window: Window, memory: dict[str, Any]) -> Verdict:
    """Find modules that return nothing but zeros."""
    series = window.plan.of("output")
    share = window.share("output", "zeros")
    limits = np.array([DEAD if _plain(each.op) in RELUS else 1.0 for each in series])
    known = ~np.isnan(share)
    return Verdict(tuple(each.node for each in series), share >= limits, known, {"zeros": share})


def saturated(window: Window, memory: dict[str, Any]) -> Verdict:
    """Find modules that return nearly nothing but the ends of their range."""
    series = window.plan.of("output")
    share = window.share("output", "saturated")
    bounded = np.array([_plain(each.op) in RANGES for each in series], dtype=bool)
    known = ~np.isnan(share) & bounded
    nodes = tuple(each.node for each in series)
    return Verdict(nodes, share >= SATURATED, known, {"saturated": share})


def _plain(op: str | None) -> str:
    return (op or "").lower().rstrip("_")


def no_gradient(window: Window, memory: dict[str, Any]) -> Verdict:
    """Find parameters without a gradient in steps in which others have one."""
    series = window.plan.of("gradient")
    missing = np.isnan(window.field("gradient", "count"))
    known = np.broadcast_to(_any(~missing), missing.shape)
    return Verdict(tuple(each.node for each in series), missing, known)


def zero_gradient(window: Window, memory: dict[str, Any]) -> Verdict:
    """Find scopes whose gradient is zero in steps in which that of others is not."""
    norms = window.gradients
    some = _any(norms.known & (norms.numbers > 0))
    zero = norms.numbers == 0
    return Verdict(norms.nodes, zero, norms.known & some)


def large_update(window: Window, memory: dict[str, Any]) -> Verdict:
    """Find scopes that a step changes by a large part of themselves."""
    ratio = _update_ratio(window)
    holds = ratio.numbers > LARGE_UPDATE
    return Verdict(ratio.nodes, holds, ratio.known, {"ratio": ratio.numbers})


def small_update(window: Window, memory: dict[str, Any]) -> Verdict:
    """Find scopes with a gradient that steps hardly change, in a training that has not arrived."""
    ratio = _update_ratio(window)
    norm, known, early = _early(window, memory)
    known = ratio.known & known & (norm > SETTLED * early)
    rms = window.gradient_rms
    if rms.nodes == ratio.nodes:
        known &= rms.known & (rms.numbers > SHRUNK * _nearer_the_loss(rms)) & (rms.numbers > 0)
    holds = ratio.numbers < SMALL_UPDATE
    return Verdict(ratio.nodes, holds, known, {"ratio": ratio.numbers})


def _update_ratio(window: Window) -> Block:
    update, value = window.norms("update"), window.norms("value")
    columns = [value.nodes.index(node) for node in update.nodes if node in value.nodes]
    if len(columns) < len(update.nodes):
        empty = np.empty((len(window.ages), 0))
        return Block((), empty, empty.astype(bool))
    whole = value.numbers[:, columns]
    known = update.known & value.known[:, columns] & (whole > 0)
    return Block(update.nodes, update.numbers / np.where(known, whole, 1.0), known)


def jump(window: Window, memory: dict[str, Any]) -> Verdict | None:
    """Find a gradient of a scope far above its own history."""
    norms = window.gradients
    numbers = np.where(norms.known, norms.numbers, np.nan)
    if memory.get("nodes") != norms.nodes:
        memory["nodes"], memory["past"] = norms.nodes, np.full((HISTORY, len(norms.nodes)), np.nan)
    past = np.concatenate([memory["past"], numbers])
    memory["past"] = past[-HISTORY:]
    if not norms.nodes:
        return None
    views = np.lib.stride_tricks.sliding_window_view(past[:-1], HISTORY, axis=0)
    highest = np.fmax.reduce(views, axis=-1)
    times = numbers / np.where(highest > 0, highest, np.nan)
    known = ~np.isnan(times) & (window.ages >= WARM_UP)[:, None]
    times = np.where(known, times, 0.0)
    worst = times.argmax(axis=1)
    shown = {
        name: np.take_along_axis(each, worst[:, None], axis=1)
        for name, each in {"norm": numbers, "highest before": highest}.items()
    }
    return Verdict(
        ("",), _any(times > JUMP), _any(known), shown, lambda row: norms.nodes[worst[row]]
    )
