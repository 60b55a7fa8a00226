"""Whether what the README shows is what happens."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

README = (Path(__file__).parents[1] / "README.md").read_text()


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", README, re.DOTALL)
    assert found is not None
    return found.group(1)


def test_the_program_prints_what_is_shown(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", block("python")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    shown = block("text").splitlines()
    assert done.stdout.splitlines()[: len(shown)] == shown
    assert {path.name for path in tmp_path.iterdir()} == {"step.svg", "step.gradtrace"}


def test_the_numpy_program_runs() -> None:
    program = next(
        code for code in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "gn." in code
    )
    done = subprocess.run(
        [sys.executable, "-c", program + "print(graph.check())"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "x: right" in done.stdout
    assert "0 fail" in done.stdout


def test_every_command_that_is_shown_exists() -> None:
    from gradtrace.cli import app

    commands = {each.name or each.callback.__name__ for each in app.registered_commands}
    shown = set(re.findall(r"^gradtrace (\w+)", README, re.MULTILINE))
    assert shown == commands
