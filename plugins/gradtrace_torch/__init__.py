"""The PyTorch backend of gradtrace."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from gradtrace.recording.observer import Follower, Moments
from gradtrace.tape import Options, Tape

if TYPE_CHECKING:
    from gradtrace.familiar import Ancestor

__all__ = ["TorchBackend"]


class TorchBackend:
    """Records PyTorch. Importing it does not import torch."""

    name = "torch"
    framework = "torch"

    def recognizes(self, value: object) -> bool:
        """Tell whether `value` is a module or a tensor of PyTorch."""
        torch = sys.modules.get("torch")
        return torch is not None and isinstance(value, torch.nn.Module | torch.Tensor)

    def record(
        self, tape: Tape, options: Options, model: Any = None
    ) -> AbstractContextManager[None]:
        """Return a context that records what PyTorch does in it."""
        from gradtrace_torch.recorder import record  # the guest is imported when it comes

        return record(tape, options, model)

    def follow(
        self,
        model: Any,
        optimizers: tuple[Any, ...],
        wanted: Callable[[str], bool],
        moments: Moments,
    ) -> Follower:
        """Return a follower of a module while it trains."""
        from gradtrace_torch.recording.follower import TorchFollower

        return TorchFollower(model, optimizers, wanted, moments)

    def history(
        self,
        outputs: Sequence[Any],
        names: Mapping[str, Any],
        *,
        attributes: bool,
        saved: bool,
        limit: int,
    ) -> list[Ancestor]:
        """Return what tensors were made from, as autograd's own graph has it."""
        from gradtrace_torch.history import history

        return history(outputs, names, attributes=attributes, saved=saved, limit=limit)

    def rehearsal(
        self,
        model: Any,
        *,
        data: Any,
        sizes: Any,
        device: Any,
        dtypes: Any,
        mode: str | None,
        arguments: Mapping[str, Any],
    ) -> AbstractContextManager[tuple[Any, Callable[[], Any]]]:
        """Return a context that gives the module to trace, and a function that runs it once."""
        from gradtrace_torch.rehearsal import rehearsal

        return rehearsal(
            model,
            data=data,
            sizes=sizes,
            device=device,
            dtypes=dtypes,
            mode=mode,
            arguments=arguments,
        )
