"""How long the dashboard takes to show a long run, and to follow a change of choice.

`python -m tests.benchmarks.dashboard [STEPS] [NODES]` writes such a run and looks at it in
Chromium; the figures are seconds until the heat map holds what was asked for.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.benchmarks.recordings import layout, write
from tests.dashboard.browser import dashboard, open_browser, wait_until

__all__ = ["report"]

OPTION = "[role=option]"

TITLE = """
const look = (root) => {
  for (const each of root.querySelectorAll("*")) {
    if (each.view?.data) return each.view.data;
    if (each.shadowRoot) { const deep = look(each.shadowRoot); if (deep) return deep; }
  }
  return null;
};
const data = look(document);
return data && [data.title, data.rows.length, data.last.at(-1), data.step];
"""


def report(steps: int = 100_000, nodes: int = 200) -> None:
    """Print the figures for a long run."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "long"
        place.mkdir()
        write(place / "rank00000.sqlite", layout(nodes), steps)
        place.with_name("short").mkdir()
        write(place.with_name("short") / "rank00000.sqlite", layout(nodes), 100)
        measure(Path(folder), steps, nodes)


def measure(folder: Path, steps: int, nodes: int) -> None:
    """Print the figures for the run `long` in `folder`, after a look at `short`."""
    print(f"a run of {nodes:,} nodes × {steps:,} steps in Chromium")
    with dashboard(folder) as address, open_browser() as driver:
        short = _seconds(driver, f"{address}/flow?run=short&quantity=value", "value")
        print(f"  a short run, in a browser that has seen no page yet: {short:.2f} s")
        base = f"{address}/flow?run=long&quantity"
        first = _seconds(driver, f"{base}=value", "value")
        print(f"  first paint, nothing of the run read before: {first:.2f} s")
        print(f"  all of it: {_whole(driver, steps):.2f} s later")
        time.sleep(5)
        first = _seconds(driver, f"{base}=value", "value")
        print(f"  first paint once it is read: {first:.2f} s")
        for name, pick in (("gradient", "gradient"), ("value", "value")):
            print(f"  change to {name}: {_change(driver, pick):.2f} s")
        print(f"  change of filter: {_filter(driver):.2f} s")


def _seconds(driver: Any, address: str, quantity: str) -> float:
    began = time.perf_counter()
    driver.get(address)
    wait_until(lambda: (driver.execute_script(TITLE) or [""])[0].find(quantity) >= 0, seconds=60)
    return time.perf_counter() - began


def _whole(driver: Any, steps: int) -> float:
    began = time.perf_counter()
    wait_until(lambda: driver.execute_script(TITLE)[2] == steps - 1, seconds=60)
    return time.perf_counter() - began


def _change(driver: Any, quantity: str) -> float:
    """Choose a quantity by keys, as a reader does, and wait until it is drawn."""
    box = next(
        each
        for each in driver.find_elements("css selector", "input")
        if "Quantity" in (each.get_attribute("aria-label") or "")
    )
    box.click()
    option = wait_until(
        lambda: next(
            (
                o
                for o in driver.find_elements("css selector", "[role=option]")
                if o.text == quantity
            ),
            None,
        )
    )
    began = time.perf_counter()
    option.click()
    wait_until(lambda: f"of the {quantity} " in driver.execute_script(TITLE)[0])
    return time.perf_counter() - began


def _filter(driver: Any) -> float:
    box = next(
        each
        for each in driver.find_elements("css selector", "input")
        if each.get_attribute("placeholder") == "name or pattern*"
    )
    box.send_keys("layers.7")
    began = time.perf_counter()
    box.send_keys("\n")
    wait_until(lambda: driver.execute_script(TITLE)[1] < 100)
    return time.perf_counter() - began


if __name__ == "__main__":
    given = [int(each) for each in sys.argv[1:]]
    report(*given)
