"""Whether every control of every page is taken up by the page, and kept in the address."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.dashboard.runs import spread_run

Page = Callable[..., Any]

CHOICES = {
    "flow": "quantity statistic filter group kind colours smallest window play step other",
    "layer": "node linear histogram form",
    "findings": "severity finding diagnose",
    "graph": "step colour depth back",
    "compare": "runs view",
}
GIVEN = {
    "flow": {"run": "first", "quantity": "gradient"},
    "graph": {"run": "first", "node": "weight"},
}
KINDS = ("selectbox", "toggle", "text_input", "select_slider", "segmented_control", "multiselect")


@pytest.fixture(scope="module")
def spread(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("spread")
    spread_run(folder / "run")
    return folder


@pytest.fixture
def show(page: Page, folder: Path, spread: Path) -> Page:
    """Return a page of a run that has all that the page can show."""

    def shown(name: str, **choices: str) -> Any:
        runs = spread if name == "layer" else folder
        return page(name, within=runs, **{**GIVEN.get(name, {}), **choices})

    return shown


def controls(test: Any) -> dict[str, Any]:
    """Return all that can be set on a page, by the name in the address."""
    every = [control for kind in KINDS for control in getattr(test, kind)]
    return {str(control.key).removeprefix("choice "): control for control in every}


def other(control: Any) -> Any:
    """Return something that a control is not set to."""
    match control.type:
        case "toggle" | "checkbox":
            return not control.value
        case "text_input":
            return "5"
        case "multiselect":
            return control.value[:1]
        case _:
            return next(each for each in control.options if each != control.value)


@pytest.mark.parametrize("name", CHOICES)
def test_these_are_all_controls(show: Page, name: str) -> None:
    assert set(controls(show(name))) - {"run"} == set(CHOICES[name].split())


@pytest.mark.parametrize(
    ("name", "choice"), [(name, each) for name, those in CHOICES.items() for each in those.split()]
)
def test_a_control_goes_into_the_address_and_comes_back(show: Page, name: str, choice: str) -> None:
    test = show(name)
    control = controls(test)[choice]
    wanted = other(control)
    control.set_value(wanted).run()
    assert not test.exception
    kept = test.query_params[choice]
    again = show(name, **{f"{choice}": kept[0] if isinstance(kept, list) else kept})
    assert not again.exception
    if choice != "play":  # which has gone on by then
        assert str(controls(again)[choice].value) == str(wanted)
