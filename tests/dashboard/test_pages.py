"""Whether every page and every control of it does what it says, without a browser."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gradtrace_dashboard import common
from tests.dashboard.runs import NASTY, odd_run, small_graph
from tests.recording.runs import recorded, training

Page = Callable[..., Any]
ALL = ("runs", "flow", "layer", "findings", "graph", "compare", "file")


def said(test: Any) -> str:
    """Return all that a page says."""
    kinds = ("title", "subheader", "markdown", "caption", "info", "error", "success", "code")
    return "\n".join(str(each.value) for kind in kinds for each in getattr(test, kind))


@pytest.mark.parametrize("name", ALL)
def test_a_page_shows_itself(page: Page, name: str) -> None:
    test = page(name)
    assert not test.exception
    assert len(test.title) == 1


@pytest.mark.parametrize("name", ["runs", "flow", "layer", "findings", "graph", "compare"])
def test_without_a_run_a_page_says_how_to_make_one(page: Page, tmp_path: Path, name: str) -> None:
    test = page(name, within=tmp_path / "nowhere")
    assert not test.exception
    assert "There is no run yet" in said(test)
    assert "gradtrace.record" in said(test)
    assert str(tmp_path) in said(test)


@pytest.mark.parametrize("name", ["flow", "layer", "findings", "graph"])
def test_a_run_without_steps_breaks_no_page(page: Page, tmp_path: Path, name: str) -> None:
    recorded(tmp_path / "empty", [])
    assert not page(name, within=tmp_path).exception


@pytest.mark.parametrize("name", ALL)
def test_strange_choices_in_the_address_break_no_page(page: Page, name: str) -> None:
    odd = dict.fromkeys(
        ("run", "quantity", "node", "edge", "step", "group", "other", "runs", "scope"), NASTY
    )
    assert not page(name, **odd).exception


def test_a_run_that_is_gone_is_said_to_be(page: Page) -> None:
    assert "no run" in said(page("flow", run="gone"))


def test_the_table_of_runs_holds_what_was_recorded(page: Page) -> None:
    table = page("runs").dataframe[0].value.set_index("Run")
    assert set(table.index) == {"first", "second", "odd"}
    assert table.loc["first", "Steps"] == 60
    assert table.loc["odd", "State"] == "✓ finished"
    assert len(table.loc["odd", "Loss curve"]) == 40


def test_the_address_restores_a_view(page: Page) -> None:
    test = page("flow", run="second", quantity="value", filter="fc2", step="30", other="3")
    assert test.selectbox(key="choice quantity").value == "value"
    assert test.selectbox(key="choice run").value == "second"
    assert test.text_input(key="choice filter").value == "fc2"
    assert test.select_slider(key="choice step").value == 30
    assert "2 nodes × 60 steps" in said(test)


def test_a_filter_that_nothing_fits_says_so(page: Page) -> None:
    assert "No node fits the filter" in said(page("flow", filter="no such node"))


def test_a_window_of_steps_is_shown_alone(page: Page) -> None:
    test = page("flow", run="first", window="10-19")
    assert not test.exception
    assert not page("flow", run="first", window="70-90").exception
    test.text_input(key="choice window").input("nonsense").run()
    assert not test.exception


def test_scrubbing_sets_the_step(page: Page) -> None:
    test = page("flow", run="first")
    test.select_slider(key="choice step").set_value(7).run()
    assert test.query_params["step"] in ("7", ["7"])


def test_playing_goes_on_by_itself(page: Page) -> None:
    test = page("flow", run="first", play="yes", step="10")
    assert int(test.select_slider(key="choice step").value) == 11


def test_the_layer_shows_its_findings(page: Page, tmp_path: Path) -> None:
    odd_run(tmp_path / "odd")
    test = page("layer", within=tmp_path, node="c")
    assert not test.exception
    assert "nonfinite" in said(test)
    test.toggle(key="choice linear").set_value(True).run()
    assert not test.exception


def test_findings_are_filtered(page: Page, tmp_path: Path) -> None:
    odd_run(tmp_path / "odd")
    test = page("findings", within=tmp_path)
    assert "nonfinite" in said(test)
    test.text_input(key="choice finding").input("no such rule").run()
    assert "**nonfinite**" not in said(test)


def test_snapshots_are_diagnosed_on_request(page: Page) -> None:
    test = page("findings", run="first")
    test.toggle(key="choice diagnose").set_value(True).run()
    assert not test.exception


def test_a_damaged_snapshot_is_named(page: Page, tmp_path: Path) -> None:
    made = recorded(tmp_path / "run", training(5))
    (made.directory / "snapshots").mkdir(exist_ok=True)
    (made.directory / "snapshots" / "step000000003.gradtrace").write_bytes(b"no graph")
    for name, more in (("graph", {}), ("findings", {"diagnose": "yes"})):
        test = page(name, within=tmp_path, **more)
        assert not test.exception
        assert "step000000003" in said(test).replace("\\", "")


def test_a_node_shows_the_numbers_of_the_graph(page: Page) -> None:
    test = page("graph", run="first", step="0", node="weight")
    table = test.dataframe[0].value.set_index("")
    assert table.loc["norm", "value"] == "5"
    assert table.loc["norm", "upstream gradient"] == "2.24"
    assert "from sum back to weight: norm 2.24" in said(test)


def test_an_edge_shows_the_numbers_of_the_graph(page: Page) -> None:
    edge = json.dumps(["head.mul", "sum", 0])
    test = page("graph", run="first", step="0", edge=edge)
    assert "gain **1.41**" in said(test)
    table = test.dataframe[0].value.set_index("")
    assert table.loc["norm", "downstream"] == "1.41"


def test_a_scope_shows_what_comes_back_through_it(page: Page) -> None:
    test = page("graph", run="first", step="0", scope="head")
    assert "##### `head`" in said(test)
    table = test.dataframe[0].value.set_index("")
    assert table.loc["norm", "upstream gradient"] == "1.41"
    assert not page("graph", run="first", step="0", scope="no such scope").exception


def test_arrows_that_lie_on_each_other_are_listed(page: Page) -> None:
    test = page("graph", run="first", step="0", line=json.dumps(["weight", "head"]))
    table = test.dataframe[0].value
    assert table.to_dict("records") == [
        {"operand": "weight", "result": "head.mul", "gain": "not computed", "‖downstream‖": "2.24"}
    ]


def test_the_paths_back_to_a_node_are_shown(page: Page) -> None:
    test = page("graph", run="first", step="0", node="weight", back="Paths")
    assert not test.exception
    assert "1 path leads from sum to here" in said(test)
    assert test.dataframe[-1].value["share"].tolist() == ["100.0 %"]


@pytest.mark.parametrize("view", ["curves", "difference", "graphs"])
def test_runs_are_compared(page: Page, view: str) -> None:
    test = page("compare", view=view)
    test.multiselect(key="choice runs").set_value(["first", "second"]).run()
    assert not test.exception
    if view == "graphs":
        assert "The values part nowhere" in said(test)
        test.selectbox(key="choice step_b").select("30").run()
        assert "The values part first at `x`" in said(test)


def test_steps_of_one_run_are_compared(page: Page) -> None:
    test = page("compare", view="difference")
    test.multiselect(key="choice runs").set_value(["first"]).run()
    test.select_slider(key="choice step").set_value(30).run()
    assert not test.exception
    assert "larger than at step 30" in said(test)


def test_a_file_is_opened(page: Page, tmp_path: Path) -> None:
    path = small_graph().save(tmp_path / "step.gradtrace")
    test = page("file")
    test.file_uploader(key="graph file").upload("step.gradtrace", path.read_bytes()).run()
    assert not test.exception
    assert "4 nodes, 3 edges" in said(test).replace("\\", "")


def test_a_foreign_file_is_refused_by_its_name(page: Page) -> None:
    test = page("file")
    test.file_uploader(key="graph file").upload("holiday.jpg", b"\xff\xd8").run()
    assert not test.exception
    assert "holiday.jpg" in test.error[0].value.replace("\\", "")


def test_numbers_leave_as_csv() -> None:
    assert common.csv_of([("a,b", 1)]) == '"a,b",1\r\n'


def test_markdown_in_a_name_stays_text() -> None:
    assert common.plain("*a* [b](c)") == r"\*a\* \[b\]\(c\)"
