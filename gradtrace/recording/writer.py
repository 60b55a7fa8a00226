"""Keep recorded steps from a thread of its own, whatever happens to the disk."""

from __future__ import annotations

import atexit
import os
import secrets
import sqlite3
import sys
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakMethod

from gradtrace.errors import GradtraceError, GradtraceWarning
from gradtrace.recording.folder import describe, free_folder
from gradtrace.recording.followers import Followers
from gradtrace.recording.sample import Step
from gradtrace.recording.schema import SNAPSHOTS
from gradtrace.recording.sessions import BEAT
from gradtrace.recording.sinks import Sink
from gradtrace.recording.store import Store
from gradtrace.recording.watch import Finding

if TYPE_CHECKING:
    from gradtrace.graph import Graph

__all__ = ["Writer"]

TICK = 0.4
"""Seconds between two looks at what waits to be kept."""

RETRY = 1.0
"""Seconds after which a disk that failed is tried again."""

WAITING = 128 * 2**20
"""Bytes of steps that may wait for a disk; what comes on top is lost, and counted."""

FAREWELL = 30.0
"""Seconds that closing waits for the last steps to be kept."""

TROUBLE = (OSError, sqlite3.Error)

MALFORMED = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What a step raises that no store can keep."""


class Writer:
    """Keeps the steps of one process in the folder of a run.

    Nothing that happens to the disk reaches the training: `put` never waits, never raises. What
    goes wrong is said once as a `GradtraceWarning`; recording goes on when it can.
    """

    def __init__(
        self,
        directory: str | PathLike[str],
        facts: Mapping[str, Any] | None = None,
        *,
        rank: int = 0,
        sinks: Sequence[Sink] = (),
        on_finding: Callable[[Finding], object] | None = None,
        left_behind: Callable[[Callable[[Step], object], bool], None] | None = None,
    ) -> None:
        """Begin a run in `directory`, or go on with the one that ended there.

        Where another run still trains in `directory`, a folder beside it is taken, such as
        `digits-2`. Raises `FileError` where what is there is not a run of ours.

        Args:
            directory: Folder of the run.
            facts: What is known of the run, for `run.json`.
            rank: Number of this process among those that train together.
            sinks: Where else the steps go.
            on_finding: Called in the writer's thread with each finding, as it begins.
            left_behind: A method, called in it with a function that takes the steps nobody has put
                yet; all of them if the second argument says so. It keeps its object not alive.
        """
        self.directory = Path(directory)
        """Where the run is kept."""
        self.next_step = 0
        """The number of the first step: that after the last one of the run that goes on."""
        self._facts = dict(facts or {})
        self._rank = rank
        self._followers = Followers(sinks, on_finding, self._warn)
        self._findings: list[Finding] = []
        self._left_behind = None if left_behind is None else WeakMethod(left_behind)
        self._name = secrets.token_hex(8)
        self._process = os.getpid()
        self._queue: deque[Step] = deque()
        self._snapshots: deque[tuple[int, Graph]] = deque()
        self._said: set[str] = set()
        self._unsaid: deque[str] = deque()
        self._lost = 0
        self._down = False
        self._state = "finished"
        self._ending = threading.Event()
        self._store: Store | None = None
        self._begin()
        self._thread = threading.Thread(target=self._run, name="gradtrace-writer", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def put(self, step: Step) -> None:
        """Hand over `step`, of which nothing may be changed from now on."""
        if os.getpid() != self._process:  # a fork has no writer thread
            return
        if self._ending.is_set():
            self._warn("a step came after the recording was closed; it was not kept")
        elif len(self._queue) * (step.statistics.nbytes + 256) > WAITING:
            self._lost += 1
            self._warn("steps come faster than the disk can keep them; some are not recorded")
        else:
            self._queue.append(step)
        self._say()

    def snapshot(self, step: int, graph: Graph) -> None:
        """Hand over a traced graph, to be saved beside the run."""
        self._snapshots.append((step, graph))

    def close(self, *, state: str = "finished") -> None:
        """Keep what waits, then end the run as `finished` or `stopped`."""
        if os.getpid() != self._process or self._ending.is_set():
            return
        self._state = state
        self._ending.set()
        self._thread.join(FAREWELL)
        atexit.unregister(self.close)
        if self._thread.is_alive():
            self._warn(f"{self.directory} does not answer; its last steps may not be kept")
        self._say()

    def _begin(self) -> None:
        """Open the store before the training begins, which tells where it goes on."""
        try:
            self.directory, store = free_folder(self.directory, self._open)
            self._store, self.next_step = store, store.next_step
        except TROUBLE as error:
            self._trouble(f"nothing can be written to {self.directory} ({error})")
        self._say()

    def _open(self, folder: Path) -> Store:
        folder.mkdir(parents=True, exist_ok=True)
        store = Store(folder / f"rank{self._rank:05}.sqlite", self._name, self._facts)
        try:
            if self._rank == 0:
                describe(folder, self._facts)
        except BaseException:
            store.abandon()
            raise
        return store

    def _run(self) -> None:
        """Keep steps until the end, in the writer's thread."""
        self._followers.open(self.directory, self._facts)
        next_try = beaten = 0.0
        while not self._ending.wait(TICK):
            now = time.monotonic()
            if now < next_try:
                continue
            self._fetch()
            due = now - beaten > BEAT
            if not self._work(beat=due):
                next_try = now + RETRY
            elif due:
                beaten = now
        self._fetch(everything=True)
        self._work(beat=False)
        self._end()

    def _fetch(self, *, everything: bool = False) -> None:
        """Take the steps that the training has not put yet, in case it does not come to it."""
        left_behind = None if self._left_behind is None else self._left_behind()
        if left_behind is not None:
            try:
                left_behind(self._queue.append, everything)
            except Exception as error:  # such as a device that has failed
                self._lost += 1
                self._warn(f"a step could not be read ({error!r}); it was not kept")

    def _work(self, *, beat: bool) -> bool:
        """Keep what waits; tell whether that could be done."""
        steps = list(self._queue)
        try:
            kept = self._keep(steps, beat=beat)
        except Exception as error:  # a disk has many ways to fail, and a training must go on
            self._trouble(f"nothing can be written to {self.directory} ({error})")
            return False
        for _ in steps:
            self._queue.popleft()
        self._down = False
        self._findings += self._followers.follow(kept)
        self._save_snapshots()
        return True

    def _keep(self, steps: list[Step], *, beat: bool) -> list[Step]:
        """Keep what waits; return the steps of it that are as a recording has them."""
        if self._store is not None and not self._store.in_place:
            self._trouble(f"the files of the run in {self.directory} are gone")
        if self._store is None:
            self._store = self._open(self.directory)
        try:
            if steps:
                self._store.append(steps)
        except MALFORMED as error:
            self._store.abandon()  # what it remembers of these steps was rolled back
            self._store = None
            self._lost += len(steps)
            self._warn(f"steps that are not as a recording has them were left out ({error!r})")
            return []
        if self._findings:
            self._store.report([asdict(each) for each in self._findings])
            self._findings.clear()
        if beat:
            self._store.beat(self._lost)
        return steps

    def _save_snapshots(self) -> None:
        while self._snapshots:
            step, graph = self._snapshots.popleft()
            rank = f".rank{self._rank:05}" if self._rank else ""
            try:
                folder = self.directory / SNAPSHOTS
                folder.mkdir(exist_ok=True)
                graph.save(folder / f"step{step:09}{rank}.gradtrace")
            except (*TROUBLE, GradtraceError) as error:
                self._warn(f"the snapshot of step {step:,} cannot be saved ({error})")

    def _end(self) -> None:
        self._findings += self._followers.follow([], now=True)
        self._work(beat=False)
        self._followers.close()
        waiting = len(self._queue)
        if self._store is not None:
            try:
                self._store.close(self._state, self._lost + waiting)
            except Exception as error:  # as above
                self._trouble(f"nothing can be written to {self.directory} ({error})")
        if waiting:
            self._warn(f"the last {waiting:,} steps of {self.directory} could not be kept")

    def _trouble(self, what: str) -> None:
        """Close what does not work; say so once until it works again."""
        if self._store is not None:
            self._store.abandon()
            self._store = None
        if not self._down:
            self._down = True
            self._warn(f"{what}; training goes on, and recording as soon as it can")

    def _warn(self, message: str) -> None:
        """Remember a warning for the training's thread, once."""
        if message not in self._said:
            self._said.add(message)
            self._unsaid.append(message)

    def _say(self) -> None:
        """Give the warnings that wait. Those made errors are printed: training must go on."""
        while self._unsaid:
            message = self._unsaid.popleft()
            try:
                warnings.warn(message, GradtraceWarning, stacklevel=3)
            except GradtraceWarning:
                print(f"gradtrace: {message}", file=sys.stderr)
