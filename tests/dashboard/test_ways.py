"""Whether one page leads to another: from a run, a finding and a file to the numbers of each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest

from gradtrace.recording.reader import open_recording
from gradtrace.recording.sample import Step
from gradtrace.recording.writer import Writer
from tests.dashboard.browser import (
    DIAGRAM,
    LOOKS,
    body,
    dashboard,
    inside,
    open_browser,
    severe,
    wait_until,
)
from tests.dashboard.runs import run, small_graph
from tests.recording.runs import NETWORK, statistics

pytestmark = LOOKS


FOUND = "fc2"
"""The module that the finding is about."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("runs")
    run(place / "first")
    run(place / "second", seed=1)
    sick(place / "sick")
    return place


def sick(folder: Path) -> None:
    """Record a run of which one node is NaN, and its graph."""
    writer = Writer(folder)
    for index in range(30):
        rows = np.array([statistics([np.nan if "fc2" in s.node else 1.0]) for s in NETWORK])
        writer.put(Step(index, 1000.0 + index, {"loss": 1.0}, NETWORK, rows))
    writer.snapshot(0, small_graph(scope=FOUND))
    writer.close()
    assert open_recording(folder).findings[0].node == FOUND


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    with dashboard(folder) as found:
        yield found


@pytest.fixture(scope="module")
def driver() -> Iterator[Any]:
    with open_browser() as found:
        yield found


def press(driver: Any, label: str) -> None:
    """Press the first button of the page that is called so."""
    script = """const found = [...document.querySelectorAll("button")]
        .find((each) => !each.disabled && each.innerText.split("\\n").at(-1) === arguments[0]);
        found?.click();
        return Boolean(found);"""
    wait_until(lambda: driver.execute_script(script, label))


@pytest.mark.parametrize(
    ("label", "page"), [("Step", "/flow"), ("Layer", "/layer"), ("Graph", "/graph")]
)
def test_a_finding_leads_to_what_it_is_about(
    driver: Any, address: str, label: str, page: str
) -> None:
    driver.get(f"{address}/findings?run=sick")
    wait_until(lambda: "nonfinite" in body(driver))
    press(driver, label)
    wait_until(lambda: page in driver.current_url)
    wait_until(lambda: "run=sick" in driver.current_url)
    wait_until(lambda: f"node={FOUND}" in driver.current_url)
    if label == "Graph":
        inside(driver, f"g.chosen[data-scope={FOUND}]")
    assert not severe(driver)


def test_runs_lead_to_their_comparison(driver: Any, address: str) -> None:
    driver.get(f"{address}/?runs=second%7Cfirst")
    press(driver, "Compare")
    wait_until(lambda: "/compare" in driver.current_url)
    wait_until(lambda: "runs=second|first" in unquote(driver.current_url))
    wait_until(lambda: "Norm of the whole gradient" in page_svg(driver))


def page_svg(driver: Any) -> str:
    svg = inside(driver, "svg[role=img]")
    assert svg
    script = """let words = ""; const look = (root) => {
      for (const each of root.querySelectorAll("*")) {
        if (each.shadowRoot) look(each.shadowRoot);
        if (each.localName === "text") words += each.textContent + "\\n";
      } }; look(document); return words;"""
    return str(driver.execute_script(script))


def test_a_file_leads_to_the_numbers_of_an_edge(driver: Any, address: str, tmp_path: Path) -> None:
    path = small_graph().save(tmp_path / "step.gradtrace")
    driver.get(f"{address}/file")
    given = wait_until(lambda: driver.find_elements("css selector", "input[type=file]"))
    given[0].send_keys(str(path))
    inside(driver, "g[data-node=weight]")
    index = "diagram.data.edges.findIndex((each) => each.id === arguments[0])"
    choose = f"""{DIAGRAM} const {{ from, to }} = diagram.data.edges[{index}];
        diagram.choose(`b${{from}}>b${{to}}`)"""
    driver.execute_script(choose, json.dumps(["head.mul", "sum", 0]))
    wait_until(lambda: "gain 1.41" in body(driver))
    assert not severe(driver)


def test_another_traced_step_keeps_the_view(driver: Any, address: str) -> None:
    driver.get(f"{address}/graph?run=first&step=0")
    inside(driver, "g[data-node=weight]")
    driver.execute_script(f"{DIAGRAM} diagram.stage.zoom(1.4); diagram.choose('b0')")
    wait_until(lambda: "node=" in driver.current_url)
    norms = "diagram.data.nodes.map((each) => each.value[0].norm)"
    view = f"{DIAGRAM} return [diagram.stage.view, diagram.chosen, {norms}]"
    before = driver.execute_script(view)
    inside(driver, "input[aria-label='Traced step']").send_keys("\ue014")
    wait_until(lambda: "step=30" in driver.current_url)
    wait_until(lambda: driver.execute_script(view)[2] != before[2])
    assert driver.execute_script(view)[:2] == before[:2]
