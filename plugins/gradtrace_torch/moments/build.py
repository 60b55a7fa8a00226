"""Compile `moments.c` when gradtrace is installed, where there is a C compiler.

Without one gradtrace installs and works all the same: reductions of PyTorch and NumPy, which take
a pass over the memory each, stand in for the compiled one.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

__all__ = ["LIBRARY", "Hook", "compile_library"]

SOURCE = Path(__file__).with_name("moments.c")
LIBRARY = SOURCE.with_suffix(".so")

FLAGS = ("-O3", "-ffp-contract=off", "-fPIC", "-shared")


def compile_library(library: Path = LIBRARY) -> bool:
    """Compile the library; return False where that cannot be done.

    It holds a version for each kind of processor, unless the compiler knows no such thing.
    """
    library.unlink(missing_ok=True)
    compiler = _compiler()
    if compiler is None:
        return False
    for portable in ([], ["-DPORTABLE"]):
        command = [compiler, *FLAGS, *portable, str(SOURCE), "-o", str(library)]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        return True
    return False


def _compiler() -> str | None:
    """Return the compiler that Python was made with, else the one of the system."""
    made_with = shlex.split(sysconfig.get_config_var("CC") or "")[:1]
    return next(filter(None, map(shutil.which, [*made_with, "cc"])), None)


class Hook(BuildHookInterface[Any]):
    """Compiles the library for a wheel, and for an editable installation."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name != "wheel":
            return
        if not compile_library():
            self.app.display_warning("no C compiler: large tensors will take longer to measure")
            return
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data |= {"pure_python": False, "tag": f"py3-none-{platform}"}
        build_data["artifacts"].append(f"/{LIBRARY.relative_to(self.root).as_posix()}")
