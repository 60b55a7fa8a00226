"""Compile what is beside this file when gradtrace is installed, where there is a C compiler.

Without one gradtrace installs and works all the same: `absent.py` stands in for what is compiled,
and PyTorch and NumPy measure, in more time.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

__all__ = ["NAMES", "Hook", "compile_all", "library_of"]

FOLDER = Path(__file__).parent

NAMES = ("memory", "modules", "parameters")

FLAGS = ("-O3", "-ffp-contract=off", "-fPIC", "-shared")
LINKED = ("-undefined", "dynamic_lookup") if sys.platform == "darwin" else ()


def library_of(name: str, folder: Path = FOLDER) -> Path:
    """Return where the compiled module of that name is put."""
    return folder / f"{name}{sysconfig.get_config_var('EXT_SUFFIX')}"


def compile_all(folder: Path = FOLDER, *, flags: tuple[str, ...] = ()) -> bool:
    """Compile all modules into `folder`, all or none; return False where that cannot be done.

    Each holds a version for each kind of processor, unless the compiler knows no such thing.
    """
    for name in NAMES:
        library_of(name, folder).unlink(missing_ok=True)
    compiler = _compiler()
    if compiler is None:
        return False
    with tempfile.TemporaryDirectory() as work, ThreadPoolExecutor() as threads:
        for each in (flags, (*flags, "-DPORTABLE")):
            compiled = list(threads.map(partial(_compile, compiler, each, Path(work)), NAMES))
            if all(compiled):
                for path in compiled:
                    assert path is not None
                    shutil.move(path, folder / path.name)
                return True
    return False


def _compile(compiler: str, flags: tuple[str, ...], work: Path, name: str) -> Path | None:
    """Return the module, translated to C and compiled in the folder `work`."""
    source, library = work / f"{name}.c", library_of(name, work)
    cython = (sys.executable, "-m", "cython", "-3", f"-I{FOLDER.parents[1]}")
    whole = ("--module-name", f"gradtrace_torch.compiled.{name}")
    headers = (f"-I{sysconfig.get_path('include')}", f"-I{FOLDER}")
    translate = (*cython, *whole, FOLDER / f"{name}.pyx", "-o", source)
    compile_ = (compiler, *FLAGS, *LINKED, *flags, *headers, source, "-o", library)
    try:
        subprocess.run(translate, check=True, capture_output=True)
        subprocess.run(compile_, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return library


def _compiler() -> str | None:
    """Return the compiler that Python was made with, else the one of the system."""
    made_with = shlex.split(sysconfig.get_config_var("CC") or "")[:1]
    return next(filter(None, map(shutil.which, [*made_with, "cc"])), None)


class Hook(BuildHookInterface[Any]):
    """Compiles the modules for a wheel, and for an editable installation."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name != "wheel":
            return
        if not compile_all():
            self.app.display_warning(
                "nothing was compiled (is there a C compiler, with the headers of Python?): "
                "gradtrace works, and takes longer to measure"
            )
            return
        build_data |= {"pure_python": False, "infer_tag": True}
        build_data["artifacts"] += [
            f"/{library_of(name).relative_to(self.root).as_posix()}" for name in NAMES
        ]
