"""Where a run comes from: command, commit, versions."""

from __future__ import annotations

import os
import platform
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

__all__ = ["origin"]

_PATIENCE = 5.0
"""Seconds that Git has to answer."""


def origin(config: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return what tells one run from another, with the user's own `config`.

    >>> found = origin({"seed": 3})
    >>> found["config"], sorted(found)
    ({'seed': 3}, ['command', 'commit', 'config', 'host', 'pid', 'platform', 'start', 'versions'])
    """
    return {
        "start": time.time(),
        "command": [sys.executable, *sys.argv],
        "commit": _commit(),
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "platform": platform.platform(),
        "versions": {"python": platform.python_version(), **_versions("gradtrace", "numpy")},
        "config": plain(config or {}),
    }


def plain(value: Any) -> Any:
    """Return `value` as JSON can hold it, what it cannot as its text.

    >>> plain({"lr": 0.1, "path": Path("data"), 3: (1, None)})
    {'lr': 0.1, 'path': 'data', '3': [1, None]}
    """
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set):
        return [plain(each) for each in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _commit() -> str | None:
    """Return the Git commit of the program that runs, with `+changes` if files differ from it."""
    script = Path(sys.argv[0]) if sys.argv and sys.argv[0] else Path()
    folder = script.resolve().parent if script.is_file() else Path.cwd()
    commit = _git(folder, "rev-parse", "HEAD")
    if not commit:
        return None
    changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return f"{commit}+changes" if changed else commit


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "--no-optional-locks", *arguments],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _versions(*names: str) -> dict[str, str]:
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
