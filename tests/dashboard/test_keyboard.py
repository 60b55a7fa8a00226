"""Whether the dashboard is used without a mouse, and by several tabs at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

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
from tests.dashboard.runs import run

pytestmark = LOOKS

ENTER, ESCAPE, TAB, UP, DOWN = "\ue007", "\ue00c", "\ue004", "\ue013", "\ue015"

FOCUSED = """
let found = document.activeElement;
while (found?.shadowRoot?.activeElement) found = found.shadowRoot.activeElement;
return [found.tagName.toLowerCase(), found.getAttribute("aria-label") ?? "", found.innerText ?? ""]
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("runs")
    run(folder / "first")
    run(folder / "second", seed=1)
    with dashboard(folder) as found:
        yield found


@pytest.fixture
def driver() -> Iterator[Any]:
    with open_browser() as found:
        yield found


def press(driver: Any, keys: str) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    ActionChains(driver).send_keys(keys).perform()


def tab_to(driver: Any, wanted: Callable[[str, str, str], bool]) -> None:
    """Press Tab until what has the focus is wanted."""
    seen = []
    for _ in range(60):
        press(driver, TAB)
        seen.append(driver.execute_script(FOCUSED))
        if wanted(*seen[-1]):
            return
    raise AssertionError(f"not reached by Tab; these were: {seen}")


def test_pages_choices_and_cells_are_reached_by_keys(driver: Any, address: str) -> None:
    driver.get(f"{address}/flow?run=first&quantity=value")
    inside(driver, "canvas")
    tab_to(
        driver,
        lambda tag, label, _: (
            (tag == "input" and label.startswith("Quantity")) or "Quantity" in label
        ),
    )
    press(driver, "gradient")
    wait_until(lambda: "gradient" in [each.text for each in options(driver)])
    press(driver, ENTER)
    wait_until(lambda: "quantity=" in driver.current_url and "value" not in driver.current_url)
    tab_to(driver, lambda tag, *_: tag == "canvas")
    press(driver, UP)
    press(driver, ENTER)
    wait_until(lambda: "/layer" in driver.current_url and "node=" in driver.current_url)
    tab_to(driver, lambda tag, _, text: tag == "a" and "Findings" in text)
    press(driver, ENTER)
    wait_until(lambda: "/findings" in driver.current_url)
    wait_until(lambda: "Findings" in [each.text for each in titles(driver)])
    assert not severe(driver)


def options(driver: Any) -> list[Any]:
    return list(driver.find_elements("css selector", "[role=option]"))


def titles(driver: Any) -> list[Any]:
    return list(driver.find_elements("tag name", "h1"))


def test_a_graph_is_walked_by_keys(driver: Any, address: str) -> None:
    driver.get(f"{address}/graph?run=first&step=0")
    inside(driver, "g[data-node=weight]")
    tab_to(driver, lambda tag, label, _: tag == "svg" and label.startswith("Computational graph"))
    press(driver, "/")
    press(driver, "weight" + ENTER)
    wait_until(lambda: "node=weight" in driver.current_url)
    wait_until(lambda: "weight" in headings(driver))
    press(driver, ESCAPE)
    press(driver, DOWN)
    wait_until(lambda: "head.mul" in headings(driver))
    press(driver, "\ue003")
    wait_until(lambda: "scope=head" in driver.current_url)
    press(driver, ENTER)
    inside(driver, "g.box[data-scope=head]")
    press(driver, ENTER)
    inside(driver, "g.frame[data-scope=head]")
    before = driver.execute_script(f"{DIAGRAM} return diagram.stage.view.k")
    press(driver, "+")
    wait_until(lambda: driver.execute_script(f"{DIAGRAM} return diagram.stage.view.k") > before)
    assert not severe(driver)


def headings(driver: Any) -> list[str]:
    return [each.text for each in driver.find_elements("tag name", "h5")]


def test_tabs_do_not_disturb_each_other(driver: Any, address: str) -> None:
    driver.get(f"{address}/flow?run=first&quantity=value&step=30")
    inside(driver, "canvas")
    wait_until(lambda: chosen(driver) >= {"first", "value"})
    one = driver.current_window_handle
    driver.switch_to.new_window("tab")
    driver.get(f"{address}/flow?run=second&quantity=gradient&step=7&filter=fc2")
    inside(driver, "canvas")
    wait_until(lambda: chosen(driver) >= {"second", "gradient", "fc2"})
    two = driver.current_window_handle
    driver.switch_to.window(one)
    box = driver.find_element("css selector", "input[placeholder='name or pattern*']")
    box.send_keys("fc1" + ENTER)
    wait_until(lambda: "filter=fc1" in driver.current_url)
    wait_until(lambda: "2 nodes × 60 steps" in body(driver))
    assert chosen(driver) >= {"first", "value", "fc1"}
    assert "step=30" in driver.current_url
    driver.switch_to.window(two)
    assert chosen(driver) >= {"second", "gradient", "fc2"}
    for choice in ("run=second", "quantity=gradient", "filter=fc2", "step=7"):
        assert choice in driver.current_url


def chosen(driver: Any) -> set[str]:
    """Return what the controls of the page are set to."""
    values = "return [...document.querySelectorAll('input')].map((each) => each.value)"
    return set(driver.execute_script(values))
