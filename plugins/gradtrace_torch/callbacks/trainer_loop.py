"""The recording of a training that the Trainer of Hugging Face runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor, nn
from transformers import TrainerCallback

import gradtrace

__all__ = ["TrainerRecorder"]


class TrainerRecorder(TrainerCallback):
    """Records gradient flow while a `Trainer` trains.

    `Trainer(..., callbacks=[TrainerRecorder("runs/gpt2")])` is all; further options are those of
    `gradtrace.record`. The Trainer says nothing between backward pass and clipping: gradients
    before clipping come from hooks, the loss from the outputs of the model.
    """

    def __init__(self, directory: str | Path, **options: Any) -> None:
        self.recorder: gradtrace.Recorder | None = None
        self._directory = directory
        self._options = options
        self._losses: list[Tensor] = []
        self._whole = False
        self._handle: Any = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Begin to record."""
        self._close("stopped")  # what an exception has ended before
        model, optimizer = kwargs["model"], kwargs.get("optimizer")
        options = {"optimizer": optimizer, "config": args.to_dict()} | self._options
        self.recorder = gradtrace.record(model, self._directory, **options)
        self.recorder.start()
        self._handle = model.register_forward_hook(self._hear, with_kwargs=True)

    def _hear(self, model: nn.Module, args: Any, kwargs: dict[str, Any], output: Any) -> None:
        loss = output.get("loss") if isinstance(output, dict) else None
        if model.training and isinstance(loss, Tensor):
            self._losses.append(loss.detach())
            # a share of the loss of all accumulated batches, else the loss of one of them
            self._whole = kwargs.get("num_items_in_batch") is not None

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """End a step."""
        if self.recorder is None:
            return
        losses, self._losses = self._losses, []
        scalars: dict[str, Any] = {"epoch": state.epoch}
        if losses:
            total = sum(losses[1:], losses[0])
            scalars["loss"] = total if self._whole else total / len(losses)
        self.recorder.step(**scalars)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """End the recording."""
        self._close("finished")

    def _close(self, state: str) -> None:
        if self._handle is not None:
            self._handle.remove()
            self._handle = None
        if self.recorder is not None:
            self.recorder.close(state=state)
            self.recorder = None
