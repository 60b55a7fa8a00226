"""Whether every chart leaves as an SVG drawing, and its numbers as CSV, from the real thing."""

from __future__ import annotations

import csv
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from tests.dashboard.browser import LOOKS, dashboard, open_browser, wait_until
from tests.dashboard.runs import run

pytestmark = LOOKS

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
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("runs")
    run(place / "first")
    run(place / "second", seed=1)
    return place


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
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
    wait_until(lambda: press(driver, "CSV", press=False) >= count)
    for kind in ("SVG", "CSV"):
        press(driver, kind)
        wait_until(lambda kind=kind: len(saved(tmp_path, kind)) >= count)
    for each in saved(tmp_path, "SVG"):
        root = ET.fromstring(each.read_text(encoding="utf-8"))
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert any(text.text for text in root.iter("{http://www.w3.org/2000/svg}text"))
    for each in saved(tmp_path, "CSV"):
        with each.open(newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file))
        assert len(rows) > 1
        assert len({len(row) for row in rows}) == 1


def saved(folder: Path, kind: str) -> list[Path]:
    return list(folder.glob(f"*.{kind.lower()}"))


@pytest.mark.parametrize("page", ["", "flow?run=live"])
def test_files_leave_a_page_that_is_drawn_anew_all_the_time(
    driver: Any, address: str, folder: Path, tmp_path: Path, page: str
) -> None:
    command = [sys.executable, "-m", "tests.dashboard.trainer", str(folder / "live"), "60"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as trainer:
        assert trainer.stdout is not None
        while int(trainer.stdout.readline()) < 10:
            pass
        allow = {"behavior": "allow", "downloadPath": str(tmp_path)}
        driver.execute_cdp_cmd("Browser.setDownloadBehavior", allow)
        driver.get(f"{address}/{page}")
        wait_until(lambda: press(driver, "CSV", press=False) >= 2)
        for _ in range(8):
            press(driver, "CSV")
            wait_until(lambda: len(saved(tmp_path, "CSV")) >= 2)
            time.sleep(0.15)  # so that the next look of the page comes at another moment
            for each in saved(tmp_path, "CSV"):
                each.unlink()
        trainer.kill()


BUTTONS = """
const found = [];
const look = (root) => { for (const each of root.querySelectorAll("*")) {
  if (each.shadowRoot) look(each.shadowRoot);
  if (each.title === `Download as ${arguments[0]}`) found.push(each);
} };
look(document);
if (arguments[1]) for (const each of found) each.click();
return found.length;
"""


def press(driver: Any, kind: str, *, press: bool = True) -> int:
    """Press all buttons of a page that give away one kind of file; return how many there are."""
    return int(driver.execute_script(BUTTONS, kind, press))
