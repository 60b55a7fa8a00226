"""The interactive page in a real browser: search, fold, click, and what it then says."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gradtrace.graph import Graph
from gradtrace.render.numbers import number, printable
from gradtrace.summary import Summary
from gradtrace.tape import Call, Leaf, Tape, Use, Value
from tests.render import examples
from tests.render.names import HOSTILE

Browser = Any
Open = Callable[..., Browser]

FLUID = 100.0
"""Milliseconds of a frame, in the middle, while the page is moved; a shared machine is slow."""


@pytest.fixture
def opened(browser: Browser, tmp_path: Path) -> Iterator[Open]:
    """Open the page of a graph; at the end, the browser has nothing to complain of."""

    def run(graph: Any, **options: Any) -> Browser:
        path = graph.render(tmp_path / "step.html", **options)
        browser.get(path.as_uri())
        return browser

    yield run
    complaints = [entry["message"] for entry in browser.get_log("browser")]
    assert complaints == []
    assert browser.execute_script("return performance.getEntriesByType('resource').length") == 0


def find(browser: Browser, css: str) -> Any:
    return browser.find_element("css selector", css)


def find_all(browser: Browser, css: str) -> list[Any]:
    return list(browser.find_elements("css selector", css))


def search(browser: Browser, text: str) -> None:
    box = find(browser, "#search")
    box.clear()
    box.send_keys(text + "\n")


def table(browser: Browser) -> dict[str, list[str]]:
    """Return the numbers of the chosen thing, by their names."""
    script = """return [...document.querySelectorAll('#panel .tensors tbody tr')].map(
        row => [...row.children].map(cell => cell.textContent))"""
    return {name: cells for name, *cells in browser.execute_script(script)}


def heading(browser: Browser) -> str:
    return str(find(browser, "#panel h2").text)


@pytest.mark.parametrize("name", ["mlp", "scalars", "residual", "oddities"])
def test_the_numbers_of_every_node_are_those_of_the_graph(opened: Open, name: str) -> None:
    graph = getattr(examples, name)()
    browser = opened(graph)
    for node, data in graph.nodes(data=True):
        search(browser, node)
        assert heading(browser) == printable(node)
        shown = table(browser)
        tensors = [data["value"], data["upstream_gradient"]]
        if not data["differentiable"]:
            del tensors[1]
        if any(isinstance(each, tuple) for each in tensors):
            continue
        for row in ("norm", "mean", "std", "min", "max"):
            known = [None if t is None else getattr(t, row) for t in tensors]
            if any(each is not None for each in known):
                pairs = zip(known, tensors, strict=True)
                assert shown[row] == ["" if t is None else number(k) for k, t in pairs]


def test_factors_of_the_chain_rule_are_those_of_the_graph(opened: Open) -> None:
    graph = examples.mlp()
    browser = opened(graph)
    for tail, head, data in graph.edges(data=True):
        found = data["local_derivative"]
        if found is None or not graph.nodes[tail]["differentiable"]:
            continue
        search(browser, tail)
        text = find(browser, "#panel .factors").text
        upstream, share = graph.nodes[head]["upstream_gradient"], data["downstream_gradient"]
        product = f"{number(upstream.norm)} × {number(found.gain)} = {number(share.norm)}"
        assert head in text
        assert product in text
        assert math.isclose(upstream.norm * found.gain, share.norm, rel_tol=1e-9)


def test_an_edge_is_clicked(opened: Open) -> None:
    browser = opened(examples.scalars())
    line = next(e for e in find_all(browser, ".line .label") if e.text == "0.0707")
    browser.execute_script(
        "arguments[0].dispatchEvent(new MouseEvent('click', {bubbles: true}))", line
    )
    assert heading(browser) == "∂ sin / ∂ x"
    assert "0.25 × 0.0707 = 0.0177" in find(browser, "#panel").text


def test_a_node_is_clicked(opened: Open) -> None:
    graph = examples.mlp()
    browser = opened(graph)
    find(browser, '[data-node="relu"]').click()
    assert heading(browser) == "relu"
    assert number(graph.nodes["relu"]["upstream_gradient"].norm) in table(browser)["norm"]
    assert find_all(browser, ".line.near")
    find(browser, "#panel .factors .link").click()
    assert heading(browser) == "∂ fc2.linear / ∂ relu"


def test_formulas_are_shown(opened: Open) -> None:
    graph = formula_graph()
    browser = opened(graph)
    search(browser, "x")
    find(browser, "#panel .factors .link").click()
    assert find(browser, "#panel .formula.big").text == "1 − tanh(x)²"


def formula_graph() -> Graph:
    from gradtrace.derivative import LocalDerivative

    x, y = Value(Summary.of([0.5, 1.0]), differentiable=True), Value(Summary.of([0.46, 0.76]))
    y.differentiable = True
    y.seed = y.upstream = Summary.of([1.0, 1.0])
    share = x.upstream = Summary.of([0.7864, 0.42])
    found = LocalDerivative("diagonal", (2,), (2,), gain=0.63, rule=("tanh", "input"))
    call = Call("tanh", [y], [Use("input", x, found, share)])
    return Graph.from_tape(Tape([Leaf("input", ("x",), x), call], "hand", gradients=True))


def test_scopes_open_and_close(opened: Open) -> None:
    browser = opened(examples.residual(3), depth=0)
    assert not find_all(browser, '[data-node="encoder.1.add"]')
    find(browser, '[data-scope="encoder"] [data-toggle]').click()
    find(browser, '[data-scope="encoder.1"] [data-toggle]').click()
    assert find_all(browser, '[data-node="encoder.1.add"]')
    assert not find_all(browser, '[data-node="encoder.0.add"]')
    assert heading(browser) == "encoder.1"
    find(browser, '.frame[data-scope="encoder.1"] [data-toggle]').click()
    assert not find_all(browser, '[data-node="encoder.1.add"]')
    find(browser, "#open").click()
    find(browser, "#fit").click()
    assert len(find_all(browser, "[data-node]")) == len(examples.residual(3))
    find(browser, "#close").click()
    assert len(find_all(browser, ".box.scope")) == 2


def test_search_opens_the_scopes_around_what_it_finds(opened: Open) -> None:
    browser = opened(examples.stack(), depth=0)
    find(browser, "#search").send_keys("layers.17 relu")
    assert find(browser, "#count").text == "1 found"
    find(browser, "#found button").click()
    assert heading(browser) == "layers.17.act.relu"
    chosen = find(browser, ".box.chosen")
    assert chosen.get_attribute("data-node") == "layers.17.act.relu"
    assert 0 < chosen.rect["x"] < 930
    assert 0 < chosen.rect["y"] < 800


def test_keys_do_what_the_mouse_does(opened: Open) -> None:
    from selenium.webdriver import ActionChains, Keys

    browser = opened(examples.mlp())
    press = lambda *keys: ActionChains(browser).send_keys(*keys).perform()  # noqa: E731
    press("/")
    press("relu", Keys.ENTER)
    find(browser, "#stage").send_keys(Keys.ARROW_DOWN)
    assert heading(browser) == "fc2.linear"
    find(browser, "#stage").send_keys(Keys.ARROW_UP, Keys.ARROW_RIGHT)
    assert heading(browser) == "fc2.weight"
    assert find(browser, "#said").get_attribute("textContent") == "fc2.weight"
    before = find(browser, "#world").get_attribute("transform")
    press("+")
    browser.execute_async_script("requestAnimationFrame(() => arguments[0]())")
    assert find(browser, "#world").get_attribute("transform") != before
    press(Keys.ESCAPE)
    assert heading(browser) == "Graph"


def test_it_has_light_and_dark_colours(opened: Open) -> None:
    browser = opened(examples.mlp())
    ground = "return getComputedStyle(document.body).backgroundColor"
    try:
        for scheme, colour in (("light", "rgb(255, 255, 255)"), ("dark", "rgb(20, 24, 31)")):
            feature = {"name": "prefers-color-scheme", "value": scheme}
            browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
            assert browser.execute_script(ground) == colour
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    find(browser, "#colours").click()
    assert browser.execute_script(ground) == "rgb(20, 24, 31)"


def test_hostile_names_are_shown_as_they_are(opened: Open) -> None:
    graph = examples.hostile(HOSTILE)
    browser = opened(graph, title=HOSTILE[1])
    assert browser.title == HOSTILE[1]
    find(browser, "#open").click()
    for node in list(graph)[:: max(1, len(graph) // 12)]:
        script = """const box = document.getElementById('search'); box.value = arguments[0];
            box.dispatchEvent(new Event('input'));
            document.querySelector('#found button').click()"""
        browser.execute_script(script, " ".join(node.split()))
        assert browser.title != "owned"
    assert not find_all(browser, "#panel b, #panel script, #stage script")


def test_numbers_are_written_as_everywhere_else(opened: Open) -> None:
    values = [0.125, 2.125, 2.135, 1234.5, 999.5, 0.001, 0.00099951, 12345.0, 9999.5, 1e-30]
    values += [-1.5e-5, 0.0, 100.0, 0.1, 1e300, 3.0, 999.4999]
    tape = Tape(backend="hand")
    total = Value(Summary.of(1.0))
    leaves = [Value(Summary.of(value)) for value in values]
    tape.steps += [Leaf("input", (f"v{at}",), leaf) for at, leaf in enumerate(leaves)]
    tape.steps.append(Call("sum", [total], [Use(str(at), leaf) for at, leaf in enumerate(leaves)]))
    browser = opened(Graph.from_tape(tape))
    for at, value in enumerate(values):
        search(browser, f"v{at}")
        assert table(browser)["mean"] == [number(value)]


@pytest.mark.parametrize("scopes", [True, False])
def test_thousands_of_nodes_stay_fluid(opened: Open, scopes: bool) -> None:
    graph = large(scopes)
    assert len(graph) > 5000
    browser = opened(graph)
    assert middle_frame(browser) < FLUID
    search(browser, "sin_2000" if not scopes else "block.20.tanh_20")
    assert heading(browser) in ("sin_2000", "block.20.tanh_20")
    if scopes:
        find(browser, "#open").click()
    assert middle_frame(browser) < FLUID


def large(scopes: bool) -> Graph:
    tape = Tape(backend="hand")
    value = Value(Summary((), "float32"), differentiable=True)
    tape.steps.append(Leaf("input", ("x",), value))
    for index in range(5000):
        block = index // 50
        result = Value(Summary((), "float32"), differentiable=True)
        scope, around = (f"block.{block}", (block,)) if scopes else ("", ())
        op = "tanh" if scopes else "sin"
        tape.steps.append(Call(op, [result], [Use("0", value)], scope, around))
        value = result
    return Graph.from_tape(tape)


def middle_frame(browser: Browser) -> float:
    """Return the median time of a frame, in milliseconds, while the page is dragged."""
    script = """const done = arguments[0], stage = document.getElementById('stage'), times = [];
        const send = (name, y) => stage.dispatchEvent(
            new PointerEvent(name, {pointerId: 1, clientX: 400, clientY: y, bubbles: true}));
        stage.setPointerCapture = () => {};
        let last = performance.now(), y = 400;
        send('pointerdown', y);
        requestAnimationFrame(function step(now) {
            times.push(now - last); last = now; y -= 8; send('pointermove', y);
            if (times.length < 40) return requestAnimationFrame(step);
            send('pointerup', y); times.sort((a, b) => a - b); done(times[20]);
        });"""
    return float(browser.execute_async_script(script))
