"""Which backward passes count: those that add to `.grad`, not those of `torch.autograd.grad`."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch._C import _current_graph_task_id
from torch.autograd import Variable

from gradtrace.recording.ledger import Row
from gradtrace_torch.compiled import Sheet

__all__ = ["Found", "Passes"]


class Found:
    """What was found in one backward pass."""

    def __init__(self, task: int) -> None:
        self.task = task
        self.sheet = Sheet(sums_only=True)
        self.rows: list[tuple[int, Row]] = []
        """What is not on the sheet."""
        self.adds = False
        self.arrived: list[Tensor] = []
        """Parameters that received a gradient in it, and in no pass inside of it."""


class Passes:
    """The backward passes that run, one inside the other where checkpoints recompute.

    `on_end(found)` is called at the end of a pass in which a parameter received its gradient, after
    those who wait for the end of it too, such as DDP, have averaged the gradients.
    """

    def __init__(self, on_end: Callable[[Found], None]) -> None:
        self.arrived: list[Tensor] = []
        """Parameters that have received a gradient in the pass that runs."""
        self._on_end = on_end
        self._open: list[Found] = []

    def add(self, tensor: Tensor) -> None:
        """Take the pass that runs for one that adds to `.grad`, of `tensor` for example."""
        if _current_graph_task_id() == -1:
            found = Found(-1)
            found.arrived.append(tensor)
            self._on_end(found)
        else:
            self.arrived.append(tensor)
            self.found()

    def forget(self) -> None:
        """Forget passes that ended without saying so, in an exception."""
        if self._open and _current_graph_task_id() == -1:
            self._open.clear()
        self.arrived.clear()

    def found(self) -> Found:
        """Return where what is found in the pass that runs is put."""
        task = _current_graph_task_id()
        for each in self._open:  # a nested pass may have ended, also in an exception
            if each.task == task:
                return each
        begun = Found(task)
        self._open.append(begun)
        # what is queued while the queue is worked off comes after all that was queued before
        _at_end(lambda: _at_end(lambda: self._end(begun)))
        return begun

    def _end(self, ended: Found) -> None:
        if ended not in self._open:
            return
        del self._open[self._open.index(ended) :]
        if self.arrived or ended.adds:
            ended.arrived += self.arrived
            self.arrived.clear()
            if self._open:
                self._open[-1].adds = True
            self._on_end(ended)


def _at_end(call: Callable[[], None]) -> None:
    Variable._execution_engine.queue_callback(call)
