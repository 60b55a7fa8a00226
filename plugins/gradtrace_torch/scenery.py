"""What is changed around a traced block, all of it undone when the block ends."""

from __future__ import annotations

import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import Any

from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from gradtrace.errors import GradtraceWarning
from gradtrace_torch.modules import Modules
from gradtrace_torch.shared import Shared
from gradtrace_torch.sources import user_level

__all__ = ["Pauses", "scenery"]

COMPILED = (
    "gradtrace: torch.cond compiles what it is given, which cannot be traced, unless the compiler "
    "was there before the block: write `import torch._dynamo` above it, or a plain `if`"
)


@contextmanager
def scenery(modules: Modules, pauses: Pauses) -> Iterator[None]:
    """Follow modules, look away while an optimizer steps, and run compiled code as eager."""
    with ExitStack() as stack:
        for handle in modules.install():
            stack.callback(handle.remove)
        for handle in _look_away(pauses):
            stack.callback(handle.remove)
        if "torch._dynamo" in sys.modules:  # else nothing can be compiled
            stack.enter_context(_compiled_as_eager.held())
        if modules.compiled:
            warnings.warn(
                "a module compiled by torch.compile is traced as eager code; "
                "outside the trace block it runs compiled as before",
                GradtraceWarning,
                stacklevel=user_level(),
            )
        try:
            yield
        except RuntimeError as error:
            if type(error).__name__ == "UncapturedHigherOrderOpError":
                error.add_note(COMPILED)
            raise


_compiled_as_eager = Shared(lambda: sys.modules["torch._dynamo"].set_stance("force_eager"))


def _look_away(pauses: Pauses) -> list[Any]:
    """Pause while an optimizer steps, unless it calls the model again through a closure."""

    def before(optimizer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        closure = kwargs.get("closure", args[1] if len(args) > 1 else None)
        if closure is None:
            pauses.begin(sys._getframe(1))

    def after(optimizer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        pauses.end(sys._getframe(1))

    return [register_optimizer_step_pre_hook(before), register_optimizer_step_post_hook(after)]


class Pauses:
    """Frames during which nothing is recorded; a frame that raised is over without saying so."""

    def __init__(self) -> None:
        self._frames: list[FrameType] = []
        self._thread = threading.get_ident()

    def begin(self, frame: FrameType) -> None:
        """Record nothing while `frame` runs."""
        if threading.get_ident() == self._thread:
            self._frames.append(frame)

    def end(self, frame: FrameType) -> None:
        """Go on after `frame`."""
        if frame in self._frames:
            self._frames.remove(frame)

    def __bool__(self) -> bool:
        if not self._frames:
            return False
        running: FrameType | None = sys._getframe(1)
        while running is not None:
            if running in self._frames:
                return True
            running = running.f_back
        self._frames.clear()
        return False
