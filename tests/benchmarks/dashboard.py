"""How long the dashboard takes to show a long run, and to follow a change of choice.

`python -m tests.benchmarks.dashboard [STEPS] [NODES]` writes such a run and looks at it in
Chromium; the figures are seconds until the heat map holds what was asked for. Then the same for a
graph of 2,000 nodes, all of them drawn, and for a step that a training just recorded.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from gradtrace.derivative import LocalDerivative
from gradtrace.graph import Graph
from gradtrace.recording.writer import Writer
from gradtrace.summary import Summary
from gradtrace.tape import Call, Leaf, Tape, Use, Value
from tests.benchmarks.recordings import layout, write
from tests.dashboard.browser import (
    DIAGRAM,
    dashboard,
    delay_of,
    open_browser,
    shown_step,
    wait_until,
)

__all__ = ["large_graph", "report"]

DRAG = """
const done = arguments[0], { svg } = diagram.stage, times = [];
const send = (name, y) => svg.dispatchEvent(
  new PointerEvent(name, { pointerId: 1, clientX: 400, clientY: y, bubbles: true }));
svg.setPointerCapture = () => {};
let last = performance.now(), y = 400;
send("pointerdown", y);
requestAnimationFrame(function step(now) {
  times.push(now - last); last = now; y -= 8; send("pointermove", y);
  if (times.length < 40) return requestAnimationFrame(step);
  send("pointerup", y); times.sort((a, b) => a - b); done(times[20]);
});
"""

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
        graph = large_graph()
        writer = Writer(place.with_name("graph"))
        writer.snapshot(0, graph)
        writer.close()
        with dashboard(Path(folder)) as address, open_browser() as driver:
            print(f"a run of {nodes:,} nodes × {steps:,} steps in Chromium")
            measure(driver, address, steps)
            print(f"a graph of {len(graph):,} nodes, all of them drawn")
            measure_graph(driver, address)
            print("a training of ten steps a second")
            measure_delay(driver, address, Path(folder))


def large_graph(calls: int = 2000) -> Graph:
    """Return a graph of 40 blocks, each of calls in a row that are skipped."""
    norm = Summary.of([3.0, 4.0])
    value = Value(norm, norm, differentiable=True)
    steps: list[Leaf | Call] = [Leaf("input", ("x",), value)]
    slope = LocalDerivative("operator", (2,), (2,), gain=1.0)
    skipped = value
    for index in range(calls):
        result = Value(norm, norm, differentiable=True)
        uses = [Use("input", value, slope, norm)]
        if index % 50 == 49:
            uses.append(Use("other", skipped, slope, norm))
            skipped = result
        scope = f"block.{index // 50}"
        steps.append(Call("tanh", [result], uses, scope, (index // 50,)))
        value = result
    return Graph.from_tape(Tape(steps, "benchmark", gradients=True))


def measure(driver: Any, address: str, steps: int) -> None:
    """Print the figures for the run `long`, after a look at `short`."""
    short = _seconds(driver, f"{address}/flow?run=short&quantity=value", "value")
    print(f"  a short run, in a browser that has seen no page yet: {short:.2f} s")
    base = f"{address}/flow?run=long&quantity"
    first = _seconds(driver, f"{base}=value", "value")
    print(f"  first paint, nothing of the run read before: {first:.2f} s")
    print(f"  all of it: {_whole(driver, steps):.2f} s later")
    time.sleep(5)
    first = _seconds(driver, f"{base}=value", "value")
    print(f"  first paint once it is read: {first:.2f} s")
    for name, pick in (("gradient", "gradient"), ("value", "value")) * 2:
        print(f"  change to {name}: {_change(driver, pick):.2f} s")
    print(f"  change of filter: {_filter(driver):.2f} s")


def measure_graph(driver: Any, address: str) -> None:
    """Print the figures for the run `graph`, all of whose scopes are open."""
    began = time.perf_counter()
    driver.get(f"{address}/graph?run=graph&depth=all")
    wait_until(lambda: driver.execute_script(f"{DIAGRAM} return diagram?.stage.shown.size"))
    print(f"  first paint: {time.perf_counter() - began:.2f} s")
    driver.execute_script(f"{DIAGRAM} diagram.stage.fit()")
    print(f"  a frame of dragging it, all in view: {_frame(driver):.0f} ms")
    driver.execute_script(f"{DIAGRAM} diagram.show('b1000')")
    print(f"  a frame of dragging it, large enough to read: {_frame(driver):.0f} ms")
    began = time.perf_counter()
    driver.execute_script(f"{DIAGRAM} diagram.choose('b1000')")
    heading = "return document.querySelector('h5')?.textContent.startsWith('block.')"
    wait_until(lambda: driver.execute_script(heading))
    print(f"  from a click to the numbers of the node: {time.perf_counter() - began:.2f} s")


def measure_delay(driver: Any, address: str, folder: Path) -> None:
    """Print how long after a step was recorded it is on the page."""
    command = [sys.executable, "-m", "tests.dashboard.trainer", str(folder / "live"), "20"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as trainer:
        assert trainer.stdout is not None
        while int(trainer.stdout.readline()) < 10:
            pass
        driver.get(f"{address}/flow?run=live")
        wait_until(lambda: shown_step(driver) is not None)
        delays = [delay_of(driver, trainer.stdout) for _ in range(8)]
        trainer.kill()
    print(f"  a new step is seen after {min(delays):.2f} to {max(delays):.2f} s")


def _frame(driver: Any) -> float:
    """Return the median time of a frame, in milliseconds, while the graph is dragged."""
    return float(driver.execute_async_script(f"{DIAGRAM} {DRAG}"))


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
