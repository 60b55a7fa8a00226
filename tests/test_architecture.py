"""The shape of the project: what imports what, what is public, what lies where."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import gradtrace
from tests.benchmarks.imports import import_time

ROOT = Path(__file__).parents[1]
SOURCES = sorted(
    path
    for folder in ("gradtrace", "plugins", "dashboards", "tests")
    for path in (ROOT / folder).rglob("*.py")
)
TOP_LEVEL = {
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "gradtrace",
    "plugins",
    "tests",
    "dashboards",
}
GUESTS = (
    *("torch", "graphviz", "pydot", "pygraphviz", "sklearn", "streamlit", "rich", "typer"),
    *("pandas", "pyarrow", "fsspec", "tensorboard"),
)


def test_imports_keep_their_contracts() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_can_be_read_in_one_sitting(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert len(lines) <= 300
    assert not lines or lines[0].startswith(('"""', 'r"""')), "say first why the file exists"


def test_the_top_level_holds_what_it_may() -> None:
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a git checkout")
    names = {Path(line).parts[0] for line in done.stdout.splitlines()}
    assert {name for name in names if not name.startswith(".")} <= TOP_LEVEL


def test_all_names_the_public_names() -> None:
    assert gradtrace.__all__ == sorted(gradtrace.__all__)
    for name in gradtrace.__all__:
        assert getattr(gradtrace, name) is not None
        assert getattr(getattr(gradtrace, name), "__module__", "").startswith("gradtrace")
    here = {name for name, value in vars(gradtrace).items() if _is_ours(value)}
    assert {name for name in here if not name.startswith("_")} <= set(gradtrace.__all__)


def _is_ours(value: object) -> bool:
    return not isinstance(value, ModuleType) and getattr(value, "__module__", "").startswith(
        "gradtrace"
    )


@pytest.mark.parametrize(
    "path",
    [path for path in SOURCES if "tests" not in path.relative_to(ROOT).parts],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_every_module_names_its_surface(path: Path) -> None:
    start = ROOT / "plugins" if "plugins" in path.parts else ROOT
    dotted = ".".join(path.relative_to(start).with_suffix("").parts).removesuffix(".__init__")
    module = importlib.import_module(dotted)
    assert isinstance(module.__all__, list)
    assert all(hasattr(module, name) for name in module.__all__)


def test_importing_gradtrace_imports_no_guest() -> None:
    program = "import gradtrace as g, sys; g.trace, g.Graph, g.open_recording; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert not {name.partition(".")[0] for name in done.stdout.split()} & set(GUESTS)


def test_importing_gradtrace_is_quick() -> None:
    assert import_time(runs=9) < 0.15
