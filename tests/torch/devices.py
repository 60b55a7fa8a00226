"""The device that stands for a GPU in the tests: a real one, or one that is pretended.

The pretended device is compiled from `accelerator.cpp`. It stays in the process for good, so that
only processes of its own load it: see `test_accelerator.py`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._device import _device_constructors

__all__ = [
    "DEVICE",
    "LIBRARY",
    "Elsewhere",
    "build",
    "launches",
    "needs_cuda",
    "needs_device",
    "nothing_waits",
    "peak_memory",
]

LIBRARY = "GRADTRACE_PRETENDED_DEVICE"
"""The variable of the environment that holds the path of the compiled library, if it is wanted."""

RANDOM = "uniform_ normal_ random_ bernoulli_ exponential_ cauchy_ log_normal_ geometric_"


def build(folder: Path) -> Path | None:
    """Compile the pretended device; None without a compiler."""
    compiler = shutil.which("g++")
    if compiler is None:
        return None
    source, library = Path(__file__).with_name("accelerator.cpp"), folder / "accelerator.so"
    root = Path(torch.__file__).parent
    command = [
        *(compiler, "-O0", "-std=c++20", "-fPIC", "-shared", "-w", str(source), "-o", str(library)),
        f"-D_GLIBCXX_USE_CXX11_ABI={int(torch._C._GLIBCXX_USE_CXX11_ABI)}",
        *(f"-I{root / 'include'}", f"-I{root / 'include/torch/csrc/api/include'}"),
        *(f"-L{root / 'lib'}", "-ltorch", "-ltorch_cpu", "-lc10", f"-Wl,-rpath,{root / 'lib'}"),
    ]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return library


def _device() -> torch.device | None:
    if torch.cuda.is_available():
        return torch.device("cuda", 0)
    if LIBRARY not in os.environ:
        return None
    torch.ops.load_library(os.environ[LIBRARY])
    torch.utils.rename_privateuse1_backend("pretend")
    module = types.ModuleType("torch.pretend")
    told: dict[str, Any] = {
        "is_available": lambda: True,
        "is_initialized": lambda: True,
        "device_count": lambda: 1,
        "current_device": lambda: 0,
        "manual_seed_all": lambda seed: None,
        "_is_in_bad_fork": lambda: False,
        "get_amp_supported_dtype": lambda: [torch.float16, torch.bfloat16],
    }
    for name, function in told.items():
        setattr(module, name, function)
    torch._register_device_module("pretend", module)
    torch.utils.generate_methods_for_privateuse1_backend()
    return torch.device("pretend", 0)


DEVICE: Any = _device()

needs_device = pytest.mark.skipif(
    DEVICE is None, reason="needs a GPU; test_accelerator.py runs it on a pretended one"
)
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


class Elsewhere(TorchFunctionMode):
    """Has every tensor made on `DEVICE`, with the numbers that it would have on the CPU."""

    def __init__(self) -> None:
        super().__init__()
        self._makers = _device_constructors()
        self._random = {getattr(Tensor, name) for name in RANDOM.split()}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in self._makers and kwargs.get("device") is None:
            made = func(*args, **kwargs)
            if not isinstance(made, Tensor):
                return made
            return made.detach().to(DEVICE).requires_grad_(made.requires_grad)
        if func in self._random:
            with torch.no_grad():
                return args[0].copy_(func(args[0].detach().cpu(), *args[1:], **kwargs))
        return func(*args, **kwargs)


@contextmanager
def nothing_waits() -> Iterator[None]:
    """Raise where the host would wait for the device."""
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()
        torch.cuda.set_sync_debug_mode("error")
    else:
        torch.ops.pretend.refuse_waiting(True)
    try:
        yield
    finally:
        if DEVICE.type == "cuda":
            torch.cuda.set_sync_debug_mode("default")
        else:
            torch.ops.pretend.refuse_waiting(False)


@contextmanager
def peak_memory() -> Iterator[list[int]]:
    """Give a list that holds, in the end, the most bytes that were allocated at one time."""
    found: list[int] = []
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        yield found
        found.append(torch.cuda.max_memory_allocated())
    else:
        torch.ops.pretend.memory_forget_peak()
        yield found
        found.append(torch.ops.pretend.memory_peak())


def launches() -> int:
    """Return how many kernels the pretended device was given."""
    count: int = torch.ops.pretend.launches()
    return count
