"""Why a recorded gradient cannot be judged by the chain rule, in words."""

from __future__ import annotations

__all__ = ["CHANGED", "LOST", "NESTED", "PARTIAL", "UNEVEN"]

LOST = "its gradient came in several passes that cannot be added up after the fact"
CHANGED = "a hook on the tensor may change its gradient"
PARTIAL = "the backward pass raised before it was done"
NESTED = "a backward pass reached it from inside another, or in another thread"
UNEVEN = "not every backward pass that reached it went on to all of its operands"
