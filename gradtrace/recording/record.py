"""The recording of a training."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any

from gradtrace.errors import FileError, TraceError
from gradtrace.recording.arguments import as_tuple, require_intervals
from gradtrace.recording.ledger import Reading
from gradtrace.recording.live import live_matrix
from gradtrace.recording.matrix import Matrix
from gradtrace.recording.observer import follower_of, schedule_at
from gradtrace.recording.origin import origin, plain
from gradtrace.recording.sample import Step
from gradtrace.recording.selection import Names, selector
from gradtrace.recording.sinks import Sink, as_sinks
from gradtrace.recording.snapshots import Snapshots
from gradtrace.recording.writer import Writer

__all__ = ["Recorder", "record"]

LAG = 32
"""Steps whose numbers may be on their way from a device at once."""

BATCH = 16
"""Steps that are handed to the writer together, which is cheaper than one by one."""

SEVERAL, UNDECIDED = 8, 10.0
"""Steps of one optimizer, and seconds, in which a call of `step` is awaited that ends them all."""

PATIENCE = 0.25
"""Seconds after which a step is handed over alone."""


def record(
    model: Any,
    directory: str | PathLike[str],
    *,
    optimizer: Any = None,
    every: int = 1,
    large_every: int = 4,
    histograms_every: int | None = 100,
    snapshots_every: int | None = 1000,
    include: Names = None,
    exclude: Names = None,
    config: Mapping[str, Any] | None = None,
    on_finding: Callable[[Any], object] | None = None,
    sinks: Any = (),
) -> Recorder:
    """Record gradient flow while `model` trains, in the folder `directory`.

    Use it as `with gradtrace.record(...) as recorder:` around the loop, or call `start()` and
    `close()`. Numbers, gradients and random state of the training stay what they would be
    without it.

    Args:
        model: The model, compiled, wrapped or sharded as it may be.
        directory: Folder of the run. A run that ended there goes on.
        optimizer: The optimizer, or a list of several; otherwise those are followed that step
            parameters of the model.
        every: Record every so many steps.
        large_every: Look every so many steps at what is large, more than 32,768 elements: at the
            outputs of modules with the gradients there, and by how much a parameter moves, for
            which it is copied. All else is looked at in every step, and so are the values and
            gradients of parameters whatever their size.
        histograms_every: Count magnitudes every so many steps; never if None.
        snapshots_every: Trace every so many steps whole; never if None.
        include: Names of the modules and parameters that are recorded, such as `"encoder.*"`, one
            pattern or several, or a function that tells of a name. All unless told.
        exclude: Those that are not, in the same form.
        config: What else belongs to the facts of the run: hyperparameters, say.
        on_finding: Called with each finding of the rules that watch the run, in another thread.
        sinks: Where else the numbers go: a sink or its name, as `"tensorboard"`, or several.

    Raises `BackendError` where no backend can follow the model, `OptionError` for an option that
    does not fit, and `FileError` where `directory` holds something else.
    """
    require_intervals(
        every=every,
        large_every=large_every,
        histograms_every=histograms_every,
        snapshots_every=snapshots_every,
    )
    return Recorder(
        model,
        Path(directory),
        optimizers=as_tuple(optimizer),
        intervals=(every, large_every, histograms_every, snapshots_every),
        wanted=selector(include, exclude),
        config=config,
        on_finding=on_finding,
        sinks=as_sinks(sinks),
    )


class Recorder:
    """Records one training, from `start` to `close`; made by `gradtrace.record`."""

    def __init__(
        self,
        model: Any,
        directory: Path,
        *,
        optimizers: tuple[Any, ...],
        intervals: tuple[int, int, int | None, int | None],
        wanted: Callable[[str], bool],
        config: Mapping[str, Any] | None,
        on_finding: Callable[[Any], object] | None,
        sinks: Sequence[Sink],
    ) -> None:
        self.directory = directory
        """Where the run is kept: another folder than was asked for if that was taken."""
        self._follower = follower_of(model, optimizers, wanted, self)
        self._model = model
        self._intervals, self._snapshots = intervals[:3], intervals[3]
        self._config = config
        self._on_finding = on_finding
        self._sinks = sinks
        self._writer: Writer | None = None
        self._closed = False
        self._index = 0
        self._manual: bool | None = None
        """Whether `step` ends a step, rather than the optimizer; None until that is known."""
        self._stepped: dict[int, int] = {}
        """How often each optimizer has stepped while that is not known."""
        self._began = 0.0
        self._optimized = False
        self._handed_over = 0.0
        self._pending: deque[tuple[int, float, Reading]] = deque()
        self._tracing: Snapshots | None = None
        self._last: tuple[int, Reading] | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Recorder:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close(state="finished" if kind is None else "stopped")

    @property
    def steps(self) -> int:
        """The number of the step that runs; one that goes on counts on."""
        return self._index

    def start(self) -> None:
        """Begin to record."""
        if self._writer is not None:
            raise TraceError(
                "this recording has begun before; make another with gradtrace.record(...)"
            )
        if self.directory.exists() and not self.directory.is_dir():
            raise FileError(
                f"{self.directory} is a file; a run is kept in a folder, which is made if need be"
            )
        facts = origin(self._config)
        told = plain(self._follower.facts)
        facts["versions"] |= told.pop("versions", {})
        facts |= told | {"every": self._intervals[0], "large_every": self._intervals[1]}
        self._writer = Writer(
            self.directory,
            facts,
            rank=self._follower.rank,
            sinks=self._sinks,
            on_finding=self._on_finding,
            left_behind=self._left_behind,
        )
        self.directory, self._index = self._writer.directory, self._writer.next_step
        try:
            self._follower.start()
        except BaseException:
            self.close(state="stopped")
            raise
        snapshots = (
            self._snapshots if self._follower.traceable and not self._follower.rank else None
        )
        self._tracing = Snapshots(self._model, self._follower, snapshots, self._writer.snapshot)
        self._begin()

    def step(self, **scalars: Any) -> None:
        """End a step, with loss, accuracy or whatever else there is to say of it.

        A tensor on a device is not waited for. Without a call of this, a step ends as the
        optimizer steps, which is known after `SEVERAL` of its steps.
        """
        if self._writer is None or self._closed:
            when = "after close()" if self._closed else "before start()"
            raise TraceError(
                f"recorder.step() was called {when}; call it in the block of "
                "`with gradtrace.record(...) as recorder:`"
            )
        self._end(scalars, whole=True)
        self._manual = True

    def live(self, quantity: str = "gradient", statistic: str = "norm") -> Matrix:
        """Return one statistic of a quantity in the last recorded step, of all processes together.

        Several processes exchange their numbers for it, once: each of them has to call this, after
        the same step, or the others wait. On a device it waits for the numbers.
        """
        if self._last is None:
            raise TraceError("no step has ended yet; call recorder.live() after recorder.step()")
        gather = self._follower.gather
        return live_matrix(*self._last, gather, quantity=quantity, statistic=statistic)

    def close(self, *, state: str = "finished") -> None:
        """End the recording: take all hooks away, and keep what is still on its way.

        A step that has begun and not ended is not kept.
        """
        if self._writer is None or self._closed:
            return
        self._closed = True
        try:
            if self._tracing is not None:
                self._tracing.abandon()
            if self._stepped and self._manual is None:
                self._take({}, whole=False, complete=self._optimized)
            self._hand_over(self._writer.put, everything=True)
        finally:
            self._follower.stop()
            self._writer.close(state=state)

    def working(self) -> None:
        """See `Moments`."""
        if self._optimized:
            self._optimized = False
            self._follower.mark()

    def optimized(self, optimizer: object) -> None:
        """See `Moments`."""
        if self._manual is None:
            now = time.monotonic()
            self._began = self._began or now
            steps = self._stepped[id(optimizer)] = self._stepped.get(id(optimizer), 0) + 1
            several = min(SEVERAL, max(1, (self._snapshots or SEVERAL) - 1))  # none are traced yet
            if steps > several or (steps > 1 and now - self._began > UNDECIDED):
                self._manual = self._optimized = False  # nobody has called `step` in between
        if self._manual is None:
            self._optimized = True
            if self._tracing is not None:
                self._tracing.end()  # another step may follow in which `step` is not called either
        elif self._manual is False:
            self._end({}, whole=False)

    def _end(self, scalars: Mapping[str, Any], *, whole: bool) -> None:
        assert self._tracing is not None
        self._optimized = False
        self._tracing.end()
        self._take(scalars, whole=whole)
        self._begin()
        if len(self._pending) >= BATCH or time.monotonic() - self._handed_over > PATIENCE:
            assert self._writer is not None
            self._hand_over(self._writer.put)

    def _hand_over(self, keep: Callable[[Step], object], *, everything: bool = False) -> None:
        """Have those steps kept of which the numbers have come."""
        with self._lock:
            self._handed_over = time.monotonic()
            while self._pending and (
                everything or self._pending[0][2].ready() or len(self._pending) > LAG
            ):
                index, moment, reading = self._pending.popleft()
                scalars, statistics, histograms = reading.numbers()
                if not schedule_at(index, *self._intervals).histograms:
                    histograms = {}  # while it was not known what ends a step
                keep(Step(index, moment, scalars, reading.series, statistics, histograms or None))

    def _left_behind(self, keep: Callable[[Step], object], everything: bool) -> None:
        """Have the last steps kept, in the writer's thread, while the training does else."""
        if everything or time.monotonic() - self._handed_over > PATIENCE:
            self._hand_over(keep, everything=everything)

    def _begin(self) -> None:
        assert self._tracing is not None
        self._follower.begin(schedule_at(self._index, *self._intervals))
        self._tracing.begin(self._index)

    def _take(self, scalars: Mapping[str, Any], *, whole: bool, complete: bool = True) -> None:
        now = time.time()
        readings = self._follower.take(scalars, whole=whole)
        for reading in readings if complete else readings[:-1]:
            if schedule_at(self._index, *self._intervals).measured:
                self._pending.append((self._index, now, reading))
                self._last = (self._index, reading)
            self._index += 1
