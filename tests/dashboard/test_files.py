"""Whether every chart leaves as an SVG drawing, and its numbers as CSV, from the real thing."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from tests.dashboard.browser import chromium, dashboard, inside, open_browser, wait_until
from tests.dashboard.runs import run

pytest.importorskip("selenium", reason="looking at the dashboard needs selenium")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        chromium() is None,
        reason="neither chromium with chromedriver is installed; apt-get install",
    ),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

PAGES = {
    "": 2,
    "flow?run=first&quantity=gradient": 2,
    "layer?run=first&node=fc1.weight": 4,
    "graph?run=first&step=0&edge=%5B%22weight%22%2C%20%22head.mul%22%2C%200%5D": 2,
    "compare?runs=first%7Csecond": 2,
    "compare?runs=first%7Csecond&view=difference": 1,
}
"""Pages, with the number of charts on each."""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("runs")
    run(folder / "first")
    run(folder / "second", seed=1)
    with dashboard(folder) as found:
        yield found


@pytest.fixture(scope="module")
def driver() -> Iterator[Any]:
    with open_browser() as found:
        yield found


@pytest.mark.parametrize("page", PAGES)
def test_every_chart_leaves_as_svg_and_csv(
    driver: Any, address: str, tmp_path: Path, page: str
) -> None:
    allow = {"behavior": "allow", "downloadPath": str(tmp_path)}
    driver.execute_cdp_cmd("Browser.setDownloadBehavior", allow)
    driver.get(f"{address}/{page}")
    count = PAGES[page]
    wait_until(lambda: len(buttons(driver, "CSV")) >= count)
    for kind in ("SVG", "CSV"):
        for button in buttons(driver, kind):
            driver.execute_script("arguments[0].click()", button)
    if "graph" in page:
        inside(driver, "button[title='Download as SVG']").click()
    wait_until(lambda: len(list(tmp_path.glob("*.csv"))) >= count)
    drawings = wait_until(
        lambda: found if len(found := [*tmp_path.glob("*.svg")]) >= count else None
    )
    for each in drawings:
        root = ET.fromstring(each.read_text(encoding="utf-8"))
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert any(text.text for text in root.iter("{http://www.w3.org/2000/svg}text"))
    for each in tmp_path.glob("*.csv"):
        with each.open(newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file))
        assert len(rows) > 1
        assert len({len(row) for row in rows}) == 1


def buttons(driver: Any, kind: str) -> list[Any]:
    """Return the buttons of the page that give away one kind of file."""
    every = driver.find_elements("css selector", "[data-testid=stDownloadButton] button")
    return [each for each in every if each.text.split("\n")[-1] == kind]
