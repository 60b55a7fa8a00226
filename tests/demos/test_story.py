"""Whether every demo can be read, and whether a wrong number in one would show."""

from __future__ import annotations

import json
from functools import cache
from io import StringIO
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, NamedTuple

import pytest
from rich.console import Console
from typer.testing import CliRunner

from gradtrace.cli import app
from gradtrace.demos import DEMOS, run_demo
from gradtrace.demos.story import Story
from gradtrace.graph import Graph
from tests.analysis.examples import network

__all__ = ["TEXTBOOK", "Told", "told"]

TEXTBOOK = [name for name in DEMOS if name != "digits"]

WIDTH = 80

SHOW_MISTAKES = {"checking", "mistakes"}
"""Demos in which something is meant to fail."""


class Told(NamedTuple):
    """What a demo printed, with what it returned."""

    text: str
    facts: dict[str, Any]


@cache
def told(name: str) -> Told:
    page = StringIO()
    console = Console(file=page, width=WIDTH)
    facts = run_demo(name, output=Path(mkdtemp()), console=console)
    return Told(page.getvalue(), facts)


every_demo = pytest.mark.parametrize("name", TEXTBOOK)


@every_demo
def test_everything_that_it_checks_holds(name: str) -> None:
    text, facts = told(name)
    assert all(error <= 1e-6 for error in facts["checks"].values()), facts["checks"]
    assert facts.get("failed", 0) == 0
    assert ("✗" in text) == (name in SHOW_MISTAKES)
    assert "✓" in text


@every_demo
def test_it_fits_a_terminal(name: str) -> None:
    lines = told(name).text.splitlines()
    assert max(len(line) for line in lines if "Figure: " not in line) <= WIDTH
    assert lines[0].startswith(f"gradtrace demo: {name} ")


@every_demo
def test_code_and_curves_are_not_broken(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    monkeypatch.setattr(Story, "code", lambda self, text: lines.extend(text.split("\n")))
    run_demo(name, output=Path(mkdtemp()), console=Console(file=StringIO()))
    assert not [line for line in lines if len(line) > WIDTH - 4]


@every_demo
def test_it_says_what_it_is_before_it_shows_a_number(name: str) -> None:
    paragraphs = [part for part in told(name).text.split("\n") if part.strip()]
    assert any(letter.isalpha() for letter in paragraphs[1])


@every_demo
def test_its_figure_is_there(name: str) -> None:
    text, facts = told(name)
    assert facts["figure"] in text
    assert Path(facts["figure"]).name == f"{name}.svg"
    assert "<svg" in Path(facts["figure"]).read_text()


@every_demo
def test_its_facts_are_plain_data(name: str) -> None:
    facts = told(name).facts
    assert json.loads(json.dumps(facts, allow_nan=False)).keys() == facts.keys()
    assert facts["demo"] == name


def test_a_demo_runs_from_the_command_line(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["demo", "composite", "-o", str(tmp_path), "--json"])
    assert result.exit_code == 0
    assert json.loads(result.output)["dz/dx"] == 300.0
    assert (tmp_path / "composite.svg").exists()


@pytest.fixture
def story(tmp_path: Path) -> Story:
    return Story("test", tmp_path, Console(file=StringIO(), width=WIDTH))


def written(story: Story) -> str:
    assert isinstance(story.console.file, StringIO)
    return story.console.file.getvalue()


@pytest.mark.parametrize("wrong", [[1.0, 2.1], [1.0], [1.0, float("nan")]])
def test_a_difference_is_marked(story: Story, wrong: list[float]) -> None:
    story.agree("the same", [1.0, 2.0], [1.0, 2.0])
    story.agree("another", wrong, [1.0, 2.0])
    assert "✓ the same" in written(story)
    assert "✗ another" in written(story)
    assert not story.facts["checks"]["another"] <= 1e-6


def test_a_broken_chain_rule_is_marked(story: Story) -> None:
    graph = network()
    graph.nodes["w"]["upstream_gradient"] = graph.nodes["x"]["upstream_gradient"]
    nodes, edges = list(graph.nodes(data=True)), list(graph.edges(keys=True, data=True))
    story.chain_rule(Graph.from_records(graph.graph, nodes, edges))
    assert "✗ the chain rule fails at w" in written(story)
    assert story.facts["failed"] == 1


def test_paragraphs_are_joined_and_tables_aligned(story: Story) -> None:
    story.say("One   line\nof words.")
    story.table(("name", "number"), [("a", 1.0), ("bc", 0.001234)])
    lines = [line.strip() for line in written(story).splitlines() if line.strip()]
    assert "One line of words." in lines
    assert "bc     0.00123" in lines
