"""Those who follow a run while it is written: sinks, and the rules that watch it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gradtrace.recording.sample import Step
from gradtrace.recording.sinks import Sink
from gradtrace.recording.watch import Finding, Watch

__all__ = ["Followers"]

PAUSE = 1.0
"""Seconds between two looks at what was recorded."""

BATCH = 512
"""Steps looked at together at most."""


class Followers:
    """Gets every step that is recorded; one that raises is left out from then on."""

    def __init__(
        self,
        sinks: Sequence[Sink],
        on_finding: Callable[[Finding], object] | None,
        warn: Callable[[str], None],
    ) -> None:
        self._sinks = list(sinks)
        self._on_finding = on_finding
        self._warn = warn
        self._watch: Watch | None = Watch()
        self._unseen: list[Step] = []
        self._looked = 0.0

    def open(self, directory: Path, facts: Mapping[str, Any]) -> None:
        """Begin."""
        for sink in list(self._sinks):
            self._guard(sink, sink.open, str(directory), facts)

    def follow(self, steps: Sequence[Step], *, now: bool = False) -> list[Finding]:
        """Take the steps on; return the findings that are new or have changed, if it is time."""
        for sink in list(self._sinks):
            self._guard(sink, _write, sink, steps)
        self._unseen += steps
        if not now and time.monotonic() - self._looked < PAUSE:
            return []
        self._looked = time.monotonic()
        unseen, self._unseen = self._unseen, []
        return self._look(unseen)

    def close(self) -> None:
        """End."""
        for sink in list(self._sinks):
            self._guard(sink, sink.close)

    def _look(self, steps: Sequence[Step]) -> list[Finding]:
        changed: list[Finding] = []
        try:
            for start in range(0, len(steps), BATCH):
                if self._watch is not None:
                    begun, found = self._watch.see(steps[start : start + BATCH])
                    changed += found
                    for finding in begun:
                        self._tell(finding)
        except Exception as error:  # a defect of ours must not end the recording
            self._watch = None
            self._warn(f"the rules that watch the run have failed ({error!r}) and rest from now on")
        return changed

    def _tell(self, finding: Finding) -> None:
        if self._on_finding is None:
            return
        try:
            self._on_finding(finding)
        except Exception as error:  # whatever the user's function raises
            self._on_finding = None
            self._warn(f"on_finding raised {error!r} and is not called again")

    def _guard(self, sink: Sink, call: Callable[..., object], *arguments: object) -> None:
        try:
            call(*arguments)
        except Exception as error:  # whatever a stranger's sink raises
            self._sinks.remove(sink)
            name = getattr(sink, "name", type(sink).__name__)
            self._warn(f"sink {name!r} raised {error!r} and gets no more steps")


def _write(sink: Sink, steps: Sequence[Step]) -> None:
    for step in steps:
        sink.write(step)
