"""Whether every page stays calm over runs that are broken, foreign, tiny, huge, sick or gone."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from gradtrace.recording.sample import Series, Step
from gradtrace_dashboard.words import counted
from tests.dashboard.runs import run, small_graph
from tests.recording.runs import recorded, statistics, training

Page = Callable[..., Any]
PAGES = ("runs", "flow", "layer", "findings", "graph", "compare", "file")
each_page = pytest.mark.parametrize("name", PAGES)
LONG = ".".join(["encoder", *(f"a_module_with_a_long_name_{n}" for n in range(20)), "weight"])


def spelled(test: Any) -> str:
    """Return all words of a page, without the marks that keep Markdown from reading them."""
    kinds = ("markdown", "caption", "info", "error", "success", "code")
    found = [str(each.value) for kind in kinds for each in getattr(test, kind)]
    return "\n".join(found).replace("\\", "")


def tensors(names: list[str], numbers: list[float]) -> Step:
    series = tuple(Series(name, "gradient", scope=name.rpartition(".")[0]) for name in names)
    rows = np.array([statistics([number]) for number in numbers])
    return Step(0, 1000.0, {"loss": numbers[0]}, series, rows)


@each_page
@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda path: path.write_bytes(b"a holiday"), "rank00000.sqlite"),
        (lambda path: path.write_bytes(path.read_bytes()[:5000]), "rank00000.sqlite"),
        (lambda path: path.with_name("run.json").write_text("{"), "run.json"),
        (lambda path: path.with_name("run.json").write_text('{"gradtrace": 99}'), "newer"),
    ],
    ids=["foreign", "half-written", "cut", "newer"],
)
def test_a_broken_run_names_its_file_and_the_others_work(
    page: Page, tmp_path: Path, name: str, spoil: Callable[[Path], object], says: str
) -> None:
    run(tmp_path / "good")
    recorded(tmp_path / "bad", training(200))
    spoil(tmp_path / "bad" / "rank00000.sqlite")
    test = page(name, within=tmp_path, run="bad")
    assert not test.exception
    if name not in ("compare", "file"):
        assert says in spelled(test)
    if name in ("flow", "layer", "findings", "graph"):
        assert test.selectbox(key="choice run").value == "good"


@pytest.mark.parametrize("name", ["runs", "flow", "layer", "findings", "graph"])
def test_where_all_runs_are_broken_each_is_named(page: Page, tmp_path: Path, name: str) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "rank00000.sqlite").write_bytes(b"a holiday")
    test = page(name, within=tmp_path)
    assert not test.exception
    assert "rank00000.sqlite" in spelled(test)


@each_page
@pytest.mark.parametrize(
    "step",
    [
        tensors(["fc.weight"], [2.0]),
        tensors(["fc.weight", "fc.bias"], [np.nan, np.inf]),
        tensors([LONG], [2.0]),
        tensors([f"block.{n // 8}.part{n % 8}.weight" for n in range(2000)], [1.0] * 2000),
    ],
    ids=["one step", "NaN from the first step", "a long name", "2,000 tensors"],
)
def test_an_odd_run_breaks_no_page(page: Page, tmp_path: Path, name: str, step: Step) -> None:
    recorded(tmp_path / "odd", [step])
    test = page(name, within=tmp_path, run="odd", quantity="gradient")
    assert not test.exception
    if name == "graph":
        assert "No step of this run was traced whole" in spelled(test)
    if name == "flow":
        assert f"{counted(len(step.series), 'node')} × 1 step, up to step 0" in spelled(test)


@each_page
def test_a_run_that_is_deleted_is_missed_calmly(page: Page, tmp_path: Path, name: str) -> None:
    run(tmp_path / "here")
    run(tmp_path / "there", seed=1)
    test = page(name, within=tmp_path, run="there", runs="here|there")
    shutil.rmtree(tmp_path / "there")
    test.run()
    assert not test.exception
    if name in ("flow", "layer", "findings", "graph"):
        assert "There is no run 'there' any more. Another run is shown." in spelled(test)
    shutil.rmtree(tmp_path / "here")
    test.run()
    assert not test.exception
    if name != "file":
        assert "with gradtrace.record" in spelled(test)


def test_a_snapshot_that_is_cut_short_names_its_file(page: Page, tmp_path: Path) -> None:
    run(tmp_path / "run")
    file = tmp_path / "run" / "snapshots" / "step000000000.gradtrace"
    file.write_bytes(small_graph().save(tmp_path / "whole.gradtrace").read_bytes()[:200])
    test = page("graph", within=tmp_path, run="run", step="0")
    assert not test.exception
    assert file.name in spelled(test)


def test_a_run_that_vanishes_while_it_is_read_is_said_to_be_gone() -> None:
    def page() -> None:
        from gradtrace.errors import FileError
        from gradtrace_dashboard.common import follow

        def look() -> None:
            raise FileError("runs/gone is no run")

        follow(look, live=False)

    test = AppTest.from_function(page).run()
    assert not test.exception
    assert "runs/gone is no run" in spelled(test)
