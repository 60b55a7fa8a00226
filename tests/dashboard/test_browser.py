"""Whether the real thing works: Chromium looks at the dashboard while a process trains."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree as ET

import pytest

from tests.dashboard.browser import (
    DIAGRAM,
    LOOKS,
    body,
    dashboard,
    delay_of,
    inside,
    open_browser,
    severe,
    shown_step,
    wait_until,
)
from tests.dashboard.runs import NASTY, odd_run, run, small_graph
from tests.recording.runs import recorded, training

pytestmark = LOOKS


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """Runs, and the address of a dashboard of them."""
    folder = tmp_path_factory.mktemp("runs")
    run(folder / "first")
    run(folder / "second", seed=1)
    odd_run(folder / "nasty", name=NASTY)
    with dashboard(folder) as address:
        yield folder, address


@pytest.fixture(scope="module")
def driver() -> Iterator[Any]:
    with open_browser() as found:
        yield found


def goes_to(driver: Any, address: str, title: str) -> None:
    driver.get(address)
    wait_until(lambda: title in [each.text for each in driver.find_elements("tag name", "h1")])


PAGES = {
    "": "Runs",
    "flow": "Gradient flow",
    "layer": "Layer",
    "findings": "Findings",
    "graph": "Graph",
    "compare": "Compare",
    "file": "Open a file",
}


@pytest.mark.parametrize("page", PAGES)
def test_a_page_loads_without_an_error(driver: Any, place: tuple[Path, str], page: str) -> None:
    goes_to(driver, f"{place[1]}/{page}", PAGES[page])
    time.sleep(1)
    assert not severe(driver)
    assert "Traceback" not in body(driver)


@pytest.mark.parametrize(
    "page", ["flow?run=first", "graph?run=first&node=weight", "layer?run=first"]
)
def test_nothing_is_asked_of_another_machine(
    driver: Any, place: tuple[Path, str], page: str
) -> None:
    driver.get(f"{place[1]}/{page}")
    inside(driver, "canvas, svg")
    time.sleep(1)
    script = "return performance.getEntriesByType('resource').map(each => each.name)"
    asked = driver.execute_script(script)
    assert asked
    assert all(each.startswith(("http://127.0.0.1:", "data:", "blob:")) for each in asked)


def test_new_steps_appear_within_three_seconds(driver: Any, place: tuple[Path, str]) -> None:
    folder, address = place
    command = [sys.executable, "-m", "tests.dashboard.trainer", str(folder / "live"), "25"]
    trainer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert trainer.stdout is not None
        while int(trainer.stdout.readline()) < 10:
            pass
        goes_to(driver, f"{address}/flow?run=live", "Gradient flow")
        wait_until(lambda: shown_step(driver) is not None)
        delays = [delay_of(driver, trainer.stdout) for _ in range(3)]
        assert max(delays) < 3, delays
        assert not severe(driver)
    finally:
        trainer.kill()
        trainer.wait()
        assert trainer.stdout is not None
        trainer.stdout.close()


def click(driver: Any, element: Any, x: float, y: float) -> None:
    """Click at a share of the width and height of an element."""
    area = driver.execute_script(
        "arguments[0].scrollIntoView({block: 'center'});"
        "const r = arguments[0].getBoundingClientRect(); return [r.x, r.y, r.width, r.height]",
        element,
    )
    press(driver, area[0] + x * area[2], area[1] + y * area[3])


def press(driver: Any, x: float, y: float) -> None:
    point = {"x": x, "y": y}
    for kind in ("mousePressed", "mouseReleased"):
        event = {"type": kind, "button": "left", "clickCount": 1, **point}
        driver.execute_cdp_cmd("Input.dispatchMouseEvent", event)


def test_a_click_on_a_cell_opens_that_layer(driver: Any, place: tuple[Path, str]) -> None:
    goes_to(driver, f"{place[1]}/flow?run=first&quantity=gradient", "Gradient flow")
    canvas = inside(driver, "canvas")
    box = wait_until(
        lambda: driver.execute_script("return arguments[0].parentNode.view?.box", canvas)
    )
    time.sleep(1)
    left, top, width, height = box
    area = driver.execute_script(
        "const r = arguments[0].getBoundingClientRect(); return [r.width, r.height]", canvas
    )
    x, y = (left + width * 30.5 / 60) / area[0], (top + height * 1.5 / 6) / area[1]
    click(driver, canvas, x, y)
    wait_until(lambda: "/layer" in driver.current_url)
    wait_until(lambda: "node=" in driver.current_url)
    found = recorded_nodes(place[0] / "first")[1]
    assert f"node={found}" in driver.current_url
    assert "step=30" in driver.current_url
    wait_until(lambda: found in chosen(driver))


def chosen(driver: Any) -> list[str]:
    """Return what the controls of the page are set to."""
    inputs = driver.find_elements("css selector", "input")
    return [str(each.get_attribute("value")) for each in inputs]


def recorded_nodes(path: Path) -> tuple[str, ...]:
    from gradtrace.recording.reader import open_recording

    return open_recording(path).nodes("gradient")


def test_a_cell_is_reached_by_keys(driver: Any, place: tuple[Path, str]) -> None:
    goes_to(driver, f"{place[1]}/flow?run=first&quantity=gradient&step=20", "Gradient flow")
    canvas = inside(driver, "canvas")
    time.sleep(1.5)
    canvas = inside(driver, "canvas")
    driver.execute_script("arguments[0].focus()", canvas)
    for key in ("ArrowDown", "ArrowRight", "Enter"):
        for kind in ("keyDown", "keyUp"):
            driver.execute_cdp_cmd("Input.dispatchKeyEvent", {"type": kind, "key": key})
    wait_until(lambda: "/layer" in driver.current_url and "node=" in driver.current_url)
    assert "step=21" in driver.current_url


def test_a_click_on_an_edge_shows_its_numbers(driver: Any, place: tuple[Path, str]) -> None:
    goes_to(driver, f"{place[1]}/graph?run=first&step=0", "Graph")
    click_arrow(driver, "head.mul", "sum")
    wait_until(lambda: "edge=" in driver.current_url)
    data = small_graph().edges["head.mul", "sum", 0]
    expected = f"gain {data['local_derivative'].gain:.3g}"
    wait_until(lambda: expected in body(driver))
    goes_to(driver, driver.current_url, "Graph")
    wait_until(lambda: expected in body(driver))
    wait_until(lambda: chosen_key(driver) == key_of(driver, "head.mul", "sum"))
    assert not severe(driver)


def ask(driver: Any, script: str, *given: object) -> Any:
    """Return what a script says of the diagram on the page, once there is one."""
    inside(driver, "g.box")
    return driver.execute_script(DIAGRAM + script, *given)


def key_of(driver: Any, tail: str, head: str) -> str:
    script = """const key = (id) => diagram.scene.shownFor(diagram.scene.boxesOf[
        diagram.data.nodes.findIndex((node) => node.id === id)][0]);
        return key(arguments[0]) + ">" + key(arguments[1])"""
    return str(ask(driver, script, tail, head))


def chosen_key(driver: Any) -> str | None:
    found: str | None = ask(driver, "return diagram.chosen")
    return found


def click_arrow(driver: Any, tail: str, head: str) -> None:
    """Click in the middle of an arrow, where it is."""
    script = """const path = diagram.stage.shown.get(arguments[0]).querySelector(".hit");
        const middle = path.getPointAtLength(path.getTotalLength() / 2);
        const at = middle.matrixTransform(path.getScreenCTM());
        return [at.x, at.y]"""
    x, y = ask(driver, script, key_of(driver, tail, head))
    press(driver, x, y)


def test_a_click_on_a_scope_opens_it_in_place(driver: Any, place: tuple[Path, str]) -> None:
    goes_to(driver, f"{place[1]}/graph?run=first&step=0&depth=none", "Graph")
    closed = inside(driver, "g.box[data-scope=head]")
    before = corner(driver, closed)
    driver.execute_script("window.same = true")
    click(driver, closed, 0.5, 0.5)
    opened = inside(driver, "g.frame[data-scope=head]")
    assert inside(driver, "g[data-node='head.mul']")
    wait_until(lambda: "toggled=" in driver.current_url)
    wait_until(lambda: "scope=head" in driver.current_url)
    after = corner(driver, opened)
    assert abs(after[1] - before[1]) < 1
    assert abs(after[0] + after[2] / 2 - before[0] - before[2] / 2) < 1
    assert driver.execute_script("return window.same")
    goes_to(driver, driver.current_url, "Graph")
    opened = inside(driver, "g.frame[data-scope=head]")
    time.sleep(1)
    click(driver, inside(driver, "g.frame[data-scope=head] [data-toggle]"), 0.5, 0.5)
    inside(driver, "g.box[data-scope=head]")
    wait_until(lambda: "toggled=" not in driver.current_url)


def corner(driver: Any, element: Any) -> list[float]:
    script = "const r = arguments[0].getBoundingClientRect(); return [r.x, r.y, r.width]"
    found: list[float] = driver.execute_script(script, element)
    return found


def test_the_view_survives_a_click_and_another_step(driver: Any, place: tuple[Path, str]) -> None:
    goes_to(driver, f"{place[1]}/graph?run=first&step=0", "Graph")
    ask(driver, "diagram.stage.zoom(1.3)")
    before = ask(driver, "return diagram.stage.view")
    click(driver, inside(driver, "g[data-node=weight]"), 0.5, 0.5)
    wait_until(lambda: "node=weight" in driver.current_url)
    wait_until(lambda: "not computed" in body(driver))
    assert ask(driver, "return diagram.stage.view") == before
    assert chosen_key(driver) is not None


def test_a_drawing_leaves_as_svg(driver: Any, place: tuple[Path, str], tmp_path: Path) -> None:
    allow = {"behavior": "allow", "downloadPath": str(tmp_path)}
    driver.execute_cdp_cmd("Browser.setDownloadBehavior", allow)
    goes_to(driver, f"{place[1]}/graph?run=first&step=0", "Graph")
    inside(driver, "g[data-node=weight]")
    inside(driver, "button[title='Download as SVG']").click()
    file = wait_until(lambda: next(tmp_path.glob("*.svg"), None))
    root = ET.fromstring(file.read_text(encoding="utf-8"))
    words = {each.text for each in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {"weight", "mul", "sum"} <= words
    fills = {each.get("fill") for each in root.iter("{http://www.w3.org/2000/svg}rect")}
    assert not any("var" in str(each) or "light-dark" in str(each) for each in fills)


def test_a_name_never_runs(driver: Any, place: tuple[Path, str]) -> None:
    run(place[0] / "named", name=NASTY)
    for page in ("flow", "layer", "findings", "graph", "compare"):
        choices = f"runs=first%7Cnasty&node={quote(NASTY)}&quantity=gradient"
        choices += "&run=named" if page == "graph" else "&run=nasty"
        goes_to(driver, f"{place[1]}/{page}?{choices}", PAGES[page])
        time.sleep(1.5)
        assert driver.execute_script("return window.hurt") is None
        assert not driver.find_elements("css selector", "img[src=x]")


def test_the_dark_theme_is_dark(place: tuple[Path, str]) -> None:
    with open_browser(dark=True) as driver:
        goes_to(driver, f"{place[1]}/layer?run=first", "Layer")
        svg = inside(driver, "svg[role=img]")
        assert "rgb(14, 17, 23)" in str(svg.get_attribute("style"))


def test_a_run_that_begins_is_seen_without_a_reload(driver: Any, place: tuple[Path, str]) -> None:
    goes_to(driver, place[1], "Runs")
    time.sleep(1)
    (place[0] / "zz").mkdir()
    (place[0] / "zz" / "rank00000.sqlite").write_bytes(b"not ours")
    recorded(place[0] / "later", training(3))
    wait_until(lambda: "zz" in body(driver), seconds=6)
