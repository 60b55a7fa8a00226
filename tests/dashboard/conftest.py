"""A folder with runs, and pages that show it."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("streamlit", reason="the dashboard needs streamlit")

from streamlit.testing.v1 import AppTest

import gradtrace_dashboard
from tests.dashboard.runs import odd_run, run

VIEWS = Path(gradtrace_dashboard.__file__).with_name("views")


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two healthy runs and one of oddities."""
    place = tmp_path_factory.mktemp("runs")
    run(place / "first")
    run(place / "second", seed=1)
    odd_run(place / "odd")
    return place


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Callable[..., Any]:
    """Return a page that has run, on the runs in a folder, with choices in its address."""

    def show(name: str, *, within: Path = folder, **choices: str) -> Any:
        monkeypatch.setattr(sys, "argv", ["app.py", str(within)])
        test = AppTest.from_file(VIEWS / f"{name}.py", default_timeout=60)
        for key, value in choices.items():
            test.query_params[key] = value
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return test.run()

    return show
