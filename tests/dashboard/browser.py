"""A dashboard that runs, with a browser that looks at it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import pytest

__all__ = [
    "DIAGRAM",
    "LOOKS",
    "body",
    "chromium",
    "dashboard",
    "delay_of",
    "inside",
    "nobody_else_starts_one",
    "open_browser",
    "severe",
    "shown_step",
    "wait_until",
]

MAIN = "from gradtrace.cli import main; main()"

PROBES = ("/_stcore/health", "/_stcore/host-config")
"""Addresses at which Streamlit's own page looks for its server, below the page's name in vain."""


def chromium() -> tuple[str, str] | None:
    """Return the paths of Chromium and of its driver; None where they are not installed."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    return (browser, driver) if browser and driver else None


LOOKS = [
    pytest.mark.slow,
    pytest.mark.skipif(
        find_spec("selenium") is None, reason="looking at the dashboard needs selenium"
    ),
    pytest.mark.skipif(
        chromium() is None,
        reason="neither chromium with chromedriver is installed; apt-get install",
    ),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
"""The marks of tests that look at the dashboard with a browser."""


@contextmanager
def nobody_else_starts_one() -> Iterator[None]:
    """Keep tests in other processes from starting a dashboard, on a port that was just free."""
    fcntl = pytest.importorskip("fcntl")
    with (Path(gettempdir()) / "gradtrace-tests-dashboard.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def dashboard(folder: Path) -> Iterator[str]:
    """Start the command on a folder; yield the address that it prints."""
    command = [sys.executable, "-c", MAIN, "dashboard", str(folder), "--headless"]
    with nobody_else_starts_one():
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        line = process.stdout.readline()
    try:
        assert " is at http://127.0.0.1:" in line, line
        yield line.split(" is at ")[1].strip()
    finally:
        process.terminate()
        process.wait(30)  # it gives Streamlit 5 seconds, and a machine may have much else to do
        process.stdout.close()


@contextmanager
def open_browser(*, dark: bool = False) -> Iterator[Any]:
    """Yield a browser of 1280 × 800 pixels."""
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    found = chromium()
    assert found is not None
    options = Options()
    options.binary_location = found[0]
    for each in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(each)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(found[1]))
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    size = {"width": 1280, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        yield driver
    finally:
        driver.quit()


def severe(driver: Any) -> list[str]:
    """Return the errors in the console, but for Streamlit's search for its own server."""
    messages = [each["message"] for each in driver.get_log("browser") if each["level"] == "SEVERE"]
    return [each for each in messages if not any(probe in each for probe in PROBES)]


def wait_until(condition: Any, *, seconds: float = 20.0) -> Any:
    """Return what `condition()` gives once it is true; fail after some seconds."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError(f"it did not become true in {seconds} s")


INSIDE = """
const look = (root) => {
  const found = root.querySelector(arguments[0]);
  if (found) return found;
  for (const each of root.querySelectorAll("*"))
    if (each.shadowRoot) { const deep = look(each.shadowRoot); if (deep) return deep; }
  return null;
};
return look(document);
"""


def inside(driver: Any, selector: str, *, seconds: float = 20.0) -> Any:
    """Return an element, also one in the shadow of a piece."""
    return wait_until(lambda: driver.execute_script(INSIDE, selector), seconds=seconds)


def body(driver: Any) -> str:
    return str(driver.find_element("tag name", "body").text)


DIAGRAM = """
const look = (root) => {
  for (const each of root.querySelectorAll("*")) {
    if (each.diagram?.stage) return each.diagram;
    if (each.shadowRoot) { const deep = look(each.shadowRoot); if (deep) return deep; }
  }
  return null;
};
const diagram = look(document);
"""


def shown_step(driver: Any) -> int | None:
    found = re.search(r"up to step ([\d,]+)", body(driver))
    return int(found[1].replace(",", "")) if found else None


def delay_of(driver: Any, stdout: Any) -> float:
    """Return the seconds from when a step was recorded until it is shown."""
    known = shown_step(driver) or 0
    step = int(stdout.readline())
    while step <= known + 5:
        step = int(stdout.readline())
    began = time.monotonic()
    wait_until(lambda: (shown_step(driver) or 0) >= step)
    return time.monotonic() - began
