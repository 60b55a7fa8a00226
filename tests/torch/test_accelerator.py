"""Runs the tests for a GPU on a device that is pretended, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.torch import devices

TESTS = ("test_gpu.py", "test_gpu_numbers.py", "recording/test_gpu.py")


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU, on which these tests run")
def test_what_is_meant_for_a_gpu(tmp_path: Path) -> None:
    library = devices.build(tmp_path)
    if library is None:
        pytest.skip("needs a C++ compiler")
    paths = [str(Path(__file__).parent / tests) for tests in TESTS]
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", *paths]
    environment = {**os.environ, devices.LIBRARY: str(library)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout[-8000:]
    assert " passed" in done.stdout
