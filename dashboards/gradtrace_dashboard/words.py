"""What quantities and statistics are called on the pages, with what they mean."""

from __future__ import annotations

from gradtrace.recording.sample import QUANTITIES
from gradtrace.recording.statistics import RATIOS, STATISTICS

__all__ = [
    "ORDER",
    "SHOWN_STATISTICS",
    "counted",
    "first_quantity",
    "label_of",
    "meaning",
    "node_of",
    "statistics_of",
]

WHOLE = "(model)"
"""What the outermost module is called, whose scope is empty."""

ORDER = (
    "upstream gradient",
    "gain",
    "gradient",
    "update ratio",
    "value",
    "output",
    "downstream gradient",
    "unclipped gradient",
    "clipping",
    "local gradient",
    "update",
)
"""Quantities in the order in which one asks for them."""

SHOWN_STATISTICS = (
    *("norm", "rms", "mean", "std", "min", "max", "zeros", "saturated"),
    *("nonfinite", "nan", "infinite"),
)


def counted(count: int, noun: str) -> str:
    """Write a number of things.

    >>> counted(1, "step"), counted(2000, "step")
    ('1 step', '2,000 steps')
    """
    return f"{count:,} {noun}{'s' * (count != 1)}"


def first_quantity(recorded: tuple[str, ...]) -> list[str]:
    """Return the recorded quantities in the order of `ORDER`, others last.

    >>> first_quantity(("value", "gain", "strange"))
    ['gain', 'value', 'strange']
    """
    known = [name for name in ORDER if name in recorded]
    return [*known, *(name for name in recorded if name not in known)]


def statistics_of(quantity: str) -> tuple[str, ...]:
    """Return the statistics that there are of a quantity: a ratio has but one."""
    return ("norm",) if quantity in RATIOS else SHOWN_STATISTICS


def meaning(quantity: str, statistic: str) -> str:
    """Say in words what is shown.

    >>> meaning("gain", "norm")
    'gain: ‖downstream gradient‖ / ‖upstream gradient‖'
    """
    if quantity in RATIOS:
        above, below = RATIOS[quantity]
        return f"{quantity}: ‖{above}‖ / ‖{below}‖"
    return f"{STATISTICS[statistic].meaning} of the {quantity} {QUANTITIES.get(quantity, '')}"


def label_of(node: str) -> str:
    """Return what a node is called on the pages."""
    return node or WHOLE


def node_of(label: str) -> str:
    """Return the node that is called so.

    >>> node_of(label_of("")), node_of("fc1")
    ('', 'fc1')
    """
    return "" if label == WHOLE else label
