"""What is changed around a traced block, all of it undone when the block ends."""

from __future__ import annotations

import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from gradtrace.errors import GradtraceWarning
from gradtrace_torch.modules import Modules

__all__ = ["scenery"]


@contextmanager
def scenery(modules: Modules, pause: Callable[[int], None]) -> Iterator[None]:
    """Follow modules, look away while an optimizer steps, and run compiled code as eager."""
    with ExitStack() as stack:
        for handle in modules.install():
            stack.callback(handle.remove)
        for handle in _look_away(pause):
            stack.callback(handle.remove)
        dynamo = sys.modules.get("torch._dynamo")
        if dynamo is not None:  # nothing can be compiled where it was never imported
            stack.enter_context(dynamo.set_stance("force_eager"))
        if modules.compiled:
            warnings.warn(
                "a module compiled by torch.compile is traced as eager code; "
                "outside the trace block it runs compiled as before",
                GradtraceWarning,
                stacklevel=2,
            )
        yield


def _look_away(pause: Callable[[int], None]) -> list[Any]:
    """Pause while an optimizer steps, unless it calls the model again through a closure."""
    here = threading.get_ident()
    pausing: list[bool] = []

    def before(optimizer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if threading.get_ident() == here:
            closure = kwargs.get("closure", args[1] if len(args) > 1 else None)
            pausing.append(closure is None)
            pause(int(pausing[-1]))

    def after(optimizer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if threading.get_ident() == here and pausing:
            pause(-int(pausing.pop()))

    return [register_optimizer_step_pre_hook(before), register_optimizer_step_post_hook(after)]
