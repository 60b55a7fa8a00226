"""Whether one odd step of one tensor is seen, however many others share its pixel."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradtrace.recording.sample import Series, Step
from gradtrace_dashboard.charts.theme import LIGHT, palette
from tests.dashboard.browser import LOOKS, dashboard, inside, open_browser, wait_until
from tests.recording.runs import recorded, statistics

pytestmark = LOOKS

NODES, STEPS = 700, 1100
ODD = {101: [np.nan, 1.0], 303: [np.inf, 1.0], 555: [0.0, 0.0], 777: [1e6, 0.0], 999: [1e-6, 0.0]}
"""Steps of which one tensor is odd."""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("runs")
    series = tuple(Series(f"layer{n}.weight", "gradient") for n in range(NODES))
    usual = np.array([statistics([0.6, 0.8])] * NODES)
    steps = []
    for index in range(STEPS):
        rows = usual.copy()
        if index in ODD:
            rows[index // 3] = statistics(ODD[index])
        steps.append(Step(index, 1000.0 + index, {}, series, rows))
    recorded(folder / "run", steps)
    with dashboard(folder) as found:
        yield found


COLOURS = """
const canvas = arguments[0], view = canvas.parentNode.view;
if (!view?.box) return [];
const ratio = window.devicePixelRatio || 1;
const box = view.box.map((each) => Math.round(each * ratio));
const { data } = canvas.getContext("2d").getImageData(...box);
const found = new Set();
for (let at = 0; at < data.length; at += 4)
  found.add(data[at] << 16 | data[at + 1] << 8 | data[at + 2]);
return [...found];
"""


@pytest.mark.parametrize("smallest", [False, True])
def test_every_odd_cell_has_its_pixel(address: str, smallest: bool) -> None:
    theme, ramp = LIGHT, palette("cividis", 252)
    wanted = {theme.nan, theme.infinite, theme.zero, ramp[0] if smallest else ramp[-1]}
    if not smallest:
        wanted -= {theme.zero}  # numbers go before zero, and some share its pixel
    with open_browser() as driver:
        more = "&smallest=yes" if smallest else ""
        driver.get(f"{address}/flow?run=run&step=0{more}")
        canvas = inside(driver, "canvas")
        wait_until(lambda: len(seen(driver, canvas)) >= len(wanted))
        assert wanted <= wait_until(lambda: seen(driver, canvas))


def seen(driver: Any, canvas: Any) -> set[str]:
    """Return the colours of the heat map."""
    return {f"#{each:06X}" for each in driver.execute_script(COLOURS, canvas)}
