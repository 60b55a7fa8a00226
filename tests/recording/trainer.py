"""A process that records a made-up training, to be killed or starved by a test.

`python -m tests.recording.trainer FOLDER STEPS PAUSE [LIMIT | nobody]` prints the number of each
step with the time at which `put` returned. Told a limit, it may write files of so many bytes
until it reads a line; told `nobody`, it has that user's rights.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import threading
import time
import warnings

import gradtrace
from gradtrace.recording.writer import Writer
from tests.recording.runs import training

__all__ = ["main"]


def main() -> None:
    """Train."""
    folder, steps, pause, *rest = sys.argv[1:]
    if rest == ["nobody"]:
        os.setgid(65534)
        os.setuid(65534)
    elif rest:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(rest[0]), resource.RLIM_INFINITY))
        threading.Thread(target=_lift, daemon=True).start()
    made = training(100)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        writer = Writer(folder, {"command": "trainer"})
        for index in range(int(steps)):
            each = made[index % 100]
            each = type(each)(index, time.time(), each.scalars, each.series, each.statistics)
            writer.put(each)
            print(index, time.time(), flush=True)
            time.sleep(float(pause))
        writer.close()
    for warning in caught:
        assert issubclass(warning.category, gradtrace.GradtraceWarning)
        print(f"warning: {warning.message}", file=sys.stderr)


def _lift() -> None:
    sys.stdin.readline()
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


if __name__ == "__main__":
    main()
