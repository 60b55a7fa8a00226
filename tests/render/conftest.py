"""Renderers planted for the tests of figures, and a browser that shows them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from typing import Any

import pytest

import gradtrace.backends


class Installed(list[EntryPoint]):
    """The renderers that a test installs."""

    def add(self, name: str, value: str) -> None:
        self.append(EntryPoint(name, value, "gradtrace.renderers"))


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Installed:
    """Replace what is installed by a list of entry points, at first empty."""
    points = Installed()
    declared = lambda group, path: [(point, "unknown") for point in points]  # noqa: E731
    monkeypatch.setattr(gradtrace.backends, "_declared", declared)
    return points


@pytest.fixture
def graphviz_only(installed: Installed) -> Installed:
    installed.add("graphviz", "gradtrace_graphviz:GraphvizRenderer")
    return installed


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Yield a headless Chromium; skip where there is none."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    program, driver_program = shutil.which("chromium"), shutil.which("chromedriver")
    program = program or shutil.which("google-chrome")
    if not program or not driver_program:
        pytest.skip("chromium or chromedriver is not installed")
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = program
    for switch in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"):
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(driver_program))
    size = {"width": 1280, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    yield driver
    driver.quit()
