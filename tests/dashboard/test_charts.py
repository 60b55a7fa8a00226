"""Whether drawings show the numbers that they are given, and nothing that a name smuggles in."""

from __future__ import annotations

import dataclasses
import itertools
import math
import re
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from gradtrace.recording.reader import Histograms
from gradtrace.recording.sample import EDGES
from gradtrace_dashboard.cells import ABSENT, INFINITE, NAN, NUMBER, ZERO, Cells
from gradtrace_dashboard.charts import scene as scenes
from gradtrace_dashboard.charts import theme as themes
from gradtrace_dashboard.charts.heat import heat, payload, to_svg
from gradtrace_dashboard.charts.jacobian import jacobian
from gradtrace_dashboard.charts.legend import FIRST, STATES
from gradtrace_dashboard.charts.lines import curve_of, lines, spans_decades
from gradtrace_dashboard.charts.profile import profile
from gradtrace_dashboard.charts.ridges import ridges
from gradtrace_dashboard.charts.scales import Scale
from gradtrace_dashboard.charts.scene import colouring, edge_id, fitting, measure, scene
from gradtrace_dashboard.charts.theme import DARK, LIGHT, palette
from gradtrace_dashboard.views.compare import aligned
from tests.dashboard.runs import NASTY, small_graph

SVG = "{http://www.w3.org/2000/svg}"
BOTH = pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])


def cells(name: str = "a") -> Cells:
    """One step: 0.01 and 100, zero, NaN, infinite, not computed."""
    numbers = np.array([[0.01, 100.0, np.nan, np.nan, np.nan, np.nan]], np.float32)
    kinds = np.array([[NUMBER, NUMBER, ZERO, NAN, INFINITE, ABSENT]], np.uint8)
    return Cells(np.array([0]), np.array([0]), (name, *"bcdef"), numbers, numbers, kinds)


def test_levels_tell_numbers_from_what_is_none() -> None:
    found = heat(cells(), theme=LIGHT)
    assert found.high[0].tolist() == [FIRST, 255, 1, 2, 3, 0]
    assert (found.scale.low, found.scale.high) == (0.01, 100.0)
    shown = payload(found, title="t")
    assert shown["rows"][0] == "a"
    assert len(shown["colours"]) == 256


@BOTH
@pytest.mark.parametrize("scheme", sorted(themes.PALETTES))
def test_no_state_looks_like_a_magnitude_or_another_state(theme, scheme: str) -> None:
    states = [theme.zero, theme.nan, theme.infinite, theme.absent]
    for index, state in enumerate(states):
        others = [*states[:index], *states[index + 1 :]]
        if state != theme.absent:  # which is hatched
            others += palette(scheme, 32)
        for matrix in (np.eye(3), DEUTERANOPIA, PROTANOPIA):
            assert min(distance(state, other, matrix) for other in others) > 0.09


DEUTERANOPIA = np.array([[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]])
PROTANOPIA = np.array([[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]])
"""Of Machado, Oliveira and Fernandes (2009), for full severity."""


def distance(a: str, b: str, matrix: np.ndarray) -> float:
    """Return how far apart two colours are in Oklab to eyes that see by `matrix`."""
    return float(np.linalg.norm(oklab(a, matrix) - oklab(b, matrix)))


def oklab(colour: str, matrix: np.ndarray) -> np.ndarray:
    share = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    cones = CONES @ np.clip(matrix @ linear, 0, 1)
    return OPPONENTS @ np.cbrt(cones)


CONES = np.array([[0.4122, 0.5363, 0.0514], [0.2119, 0.6807, 0.1074], [0.0883, 0.2817, 0.6300]])
OPPONENTS = np.array(
    [[0.2105, 0.7936, -0.0041], [1.9780, -2.4286, 0.4506], [0.0259, 0.7828, -0.8087]]
)


@BOTH
def test_no_name_becomes_an_element(theme) -> None:
    curve = curve_of(NASTY, np.arange(3), np.array([1.0, np.nan, 3.0]))
    drawings = [
        lines([curve, curve], title=NASTY, theme=theme)[0],
        profile([NASTY], {NASTY: [1.0]}, title=NASTY, theme=theme),
        to_svg(heat(cells(NASTY), theme=theme), title=NASTY, theme=theme),
    ]
    for drawing in drawings:
        root = ET.fromstring(drawing)
        tags = {element.tag for element in root.iter()}
        assert not tags & {f"{SVG}img", "img", f"{SVG}script"}
        assert not any(name.startswith("on") for each in root.iter() for name in each.attrib)


STEPS = np.arange(50_000)


def test_a_line_keeps_a_spike_and_marks_what_is_not_finite() -> None:
    values = np.ones(50_000)
    values[33_333], values[40_000] = 1e6, np.nan
    curve = curve_of("loss", STEPS, values)
    assert curve.high.max() == 1e6
    assert curve.odd[np.flatnonzero(curve.odd)].tolist() == [NAN]
    svg, read = lines([curve], title="Loss", theme=LIGHT, log=True)
    assert "NaN from step 40,000" in svg
    assert "Inf from" not in svg
    values[45_000] = np.inf
    assert (
        "Inf from step 45,000" in lines([curve_of("loss", STEPS, values)], title="", theme=LIGHT)[0]
    )
    assert max(v for v in read["curves"][0]["high"] if v) == 1e6
    assert spans_decades([curve])


def test_a_log_axis_has_no_place_for_zero() -> None:
    scale = Scale.of([0.0, 0.5, 20.0], log=True)
    assert scale.place(0.0) is None
    assert scale.place(-1.0) is None
    assert 0 <= scale.place(0.5) < scale.place(20.0) <= 1


@pytest.mark.parametrize("low", [1e-30, 0.3, 7.0, 1e20])
@pytest.mark.parametrize("ratio", [1.01, 3.0, 40.0, 1e9])
def test_ticks_lie_on_the_axis(low: float, ratio: float) -> None:
    scale = Scale.of([low, low * ratio], log=True)
    ticks = scale.ticks(5)
    assert 2 <= len(ticks) <= 12
    assert all(-1e-6 <= place <= 1 + 1e-6 for place, _ in ticks)
    assert len({label for _, label in ticks}) == len(ticks)


def test_a_profile_says_what_has_no_place() -> None:
    nodes = ["a", "b", "c", "d"]
    svg = profile(nodes, {"step 1": [1.0, 0.0, math.nan, None]}, title="t", theme=LIGHT)
    texts = [each.text for each in ET.fromstring(svg).iter(f"{SVG}text")]
    assert {"0", "NaN", "–"} <= set(texts)
    assert len(list(ET.fromstring(svg).iter(f"{SVG}circle"))) == 2


def test_a_scene_holds_every_node_and_edge() -> None:
    graph = small_graph()
    found = scene(graph)
    assert {each["id"] for each in found["nodes"]} == set(graph)
    assert {each["id"] for each in found["edges"]} == {
        edge_id(*edge) for edge in graph.edges(keys=True)
    }
    assert [frame["scope"] for frame in found["frames"]] == ["head"]


def test_two_uses_of_a_value_by_one_call_are_two_edges() -> None:
    graph = small_graph()
    graph.add_edge("weight", "head.mul", 7, **graph.edges["weight", "head.mul", 0])
    found = [each["id"] for each in scene(graph)["edges"]]
    assert sorted(found) == sorted(edge_id(*edge) for edge in graph.edges(keys=True))


@BOTH
def test_a_node_has_the_colour_of_its_number(theme) -> None:
    graph = small_graph()
    names = ["weight", "x", "head.mul", "sum"]
    found = colouring(graph, names, "upstream gradient", theme)
    assert found["levels"][1] == STATES.index("not computed")
    assert found["levels"][0] == max(found["levels"])
    assert FIRST <= found["levels"][3] < found["levels"][2]
    assert len(found["colours"]) == len(found["inks"]) == 256
    graph.nodes["x"]["value"] = dataclasses.replace(graph.nodes["x"]["value"], norm=math.nan)
    assert colouring(graph, names, "value", theme)["levels"][1] == STATES.index("NaN")


def test_a_graph_of_too_many_nodes_is_folded_and_says_so(monkeypatch) -> None:
    monkeypatch.setattr(scenes, "MOST", 3)
    folded, note = fitting(small_graph())
    assert "head" in folded
    assert "4 nodes are too many; what lies below depth 1 is one box." in note
    monkeypatch.setattr(scenes, "MOST", 4)
    assert fitting(small_graph())[1] == ""


def test_the_measure_of_a_node_is_what_the_graph_holds() -> None:
    graph = small_graph()
    data = graph.nodes["weight"]
    assert measure(data, "upstream gradient") == pytest.approx(5**0.5)
    assert measure(data, "value") == 5.0
    assert measure(graph.nodes["x"], "upstream gradient") is None
    incoming = [each for _, _, each in graph.in_edges("sum", data=True)]
    assert measure(graph.nodes["sum"], "gain", incoming) == pytest.approx(2**0.5)


def test_ridges_stand_as_high_as_the_shares() -> None:
    counts = np.zeros((3, len(EDGES) + 1), np.uint32)
    counts[:, 0] = 50
    counts[0, 40], counts[1, 41], counts[2, 42] = 50, 50, 25
    counts[2, 41] = 25
    found = Histograms(np.array([0, 10, 20]), EDGES, counts)
    svg = ridges(found, title="t", theme=LIGHT, step=11)
    paths = list(ET.fromstring(svg).iter(f"{SVG}path"))
    assert [path.findtext(f"{SVG}title") for path in paths] == ["step 0", "step 10", "step 20"]
    assert [path.get("fill") == LIGHT.mark for path in paths] == [False, True, False]
    tops = [[float(y) for y in re.findall("V([0-9.]+)", str(path.get("d")))] for path in paths]
    heights = [max(each) - min(each) for each in tops]
    assert heights == pytest.approx([heights[0], heights[0], heights[0] / 2], abs=0.2)


def test_a_jacobian_is_drawn_with_its_extreme() -> None:
    svg = jacobian(np.diag([1.0, -7.0]), (2, 2), theme=LIGHT)
    texts = [each.text for each in ET.fromstring(svg).iter(f"{SVG}text")]
    assert {"-7", "7"} <= set(texts)


def test_a_difference_is_the_log_ratio_of_the_same_node_at_the_same_step() -> None:
    left, right = two("b", "a", scale=1.0), two("a", "c", scale=100.0)
    found = aligned(left, right)
    assert found.nodes == ("a",)
    np.testing.assert_allclose(found.high[:, 0], np.log10([100.0 / 2, 300.0 / 4]), rtol=1e-6)


def test_a_difference_says_what_has_no_ratio() -> None:
    states = [NUMBER, ZERO, NAN, INFINITE, ABSENT]
    kinds = np.array(list(itertools.product(states, states)), np.uint8).T
    step, names = np.array([0]), tuple(map(str, range(25)))
    numbers = [np.where(row == NUMBER, 2.0, np.nan)[None].astype(np.float32) for row in kinds]
    pairs = [
        Cells(step, step, names, each, each, row[None])
        for each, row in zip(numbers, kinds, strict=True)
    ]
    found = dict(zip(map(tuple, kinds.T.tolist()), aligned(*pairs).kinds[0].tolist(), strict=True))
    assert found[NUMBER, NUMBER] == found[ZERO, ZERO] == NUMBER
    assert found[NUMBER, ZERO] == ZERO
    assert found[ZERO, NUMBER] == INFINITE
    assert found[ABSENT, ABSENT] == found[NUMBER, ABSENT] == ABSENT
    assert found[NAN, NUMBER] == found[ABSENT, NAN] == NAN
    assert found[NAN, INFINITE] == NAN | INFINITE


def two(first: str, second: str, *, scale: float) -> Cells:
    numbers = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32) * np.float32(scale)
    kinds = np.full((2, 2), NUMBER, np.uint8)
    return Cells(np.array([0, 5]), np.array([4, 9]), (first, second), numbers, numbers, kinds)
