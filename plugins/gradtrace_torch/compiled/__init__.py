"""What runs most often while a training is recorded or traced, compiled.

Where `build.py` could not compile it, or `GRADTRACE_COMPILED=0` says so, `absent.py` stands in.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

__all__ = [
    "COMPILED",
    "QuickCalls",
    "QuickModule",
    "QuickParameter",
    "Sheet",
    "accumulate_gradients",
    "copy_values",
    "listener",
    "measure_moves",
    "measure_values",
    "moments_of",
    "take_gradients",
    "turn",
]

COMPILED = os.environ.get("GRADTRACE_COMPILED") != "0"
"""Whether it was compiled, and is used."""

if not TYPE_CHECKING and COMPILED:
    try:
        from gradtrace_torch.compiled.memory import Sheet, moments_of
        from gradtrace_torch.compiled.modules import QuickCalls, QuickModule
        from gradtrace_torch.compiled.parameters import (
            QuickParameter,
            accumulate_gradients,
            copy_values,
            listener,
            measure_moves,
            measure_values,
            take_gradients,
            turn,
        )
    except ImportError:
        COMPILED = False

if TYPE_CHECKING or not COMPILED:
    from gradtrace_torch.compiled.absent import (
        QuickCalls,
        QuickModule,
        QuickParameter,
        Sheet,
        accumulate_gradients,
        copy_values,
        listener,
        measure_moves,
        measure_values,
        moments_of,
        take_gradients,
        turn,
    )
