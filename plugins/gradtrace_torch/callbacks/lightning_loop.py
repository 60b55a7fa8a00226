"""The recording of a training that Lightning runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

import gradtrace

__all__ = ["LightningRecorder"]


class LightningRecorder(Callback):
    """Records gradient flow while a `Trainer` fits.

    `Trainer(callbacks=[LightningRecorder("runs/digits")])` is all; further options are those of
    `gradtrace.record`. A step ends when an optimizer has stepped, with the loss of its batches.
    """

    def __init__(self, directory: str | Path, **options: Any) -> None:
        super().__init__()
        self.recorder: gradtrace.Recorder | None = None
        self._directory = directory
        self._options = options
        self._steps = 0
        self._losses: list[Any] = []

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to record: optimizers exist by now, and the model is where it is trained."""
        self._steps = trainer.global_step
        self.recorder = gradtrace.record(
            pl_module, self._directory, **{"optimizer": trainer.optimizers, **self._options}
        )
        self.recorder.start()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """End a step, unless gradients are still being accumulated."""
        loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
        if loss is not None:
            self._losses.append(loss)
        if self.recorder is None or trainer.global_step == self._steps:
            return
        self._steps = trainer.global_step
        losses, self._losses = self._losses, []
        # Lightning has divided each loss by the number of batches that are accumulated
        scalars = {"loss": sum(losses[1:], losses[0])} if losses else {}
        self.recorder.step(**scalars, epoch=trainer.current_epoch)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """End the recording."""
        self._close("finished")

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """End the recording of a training that failed."""
        self._close("stopped")

    def _close(self, state: str) -> None:
        if self.recorder is not None:
            self.recorder.close(state=state)
            self.recorder = None
