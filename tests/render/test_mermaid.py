"""Mermaid text: goldens, read back, and hostile names that stay text."""

from __future__ import annotations

import html
import re

import pytest

from gradtrace.render import draw
from gradtrace.render.mermaid import JOINER, escaped
from gradtrace.render.numbers import middle, printable
from tests.render import examples
from tests.render.golden import assert_golden
from tests.render.names import HOSTILE

NODE = re.compile(r'^\s*(n\d+)(?:\[\[|\[|\()"(.*)"(?:\]\]|\]|\))$')
ARROW = re.compile(r'^\s*(n\d+) (-->|-\.->)(?:\|"(.*)"\|)? (n\d+)$')
FRAME = re.compile(r'^\s*subgraph (c\d+) \["(.*)"\]$')
STYLE = re.compile(r"^\s*(classDef|class|linkStyle|style) [\w,]+ [\w:#,;. -]+$")


def mermaid(graph: object, **options: object) -> str:
    drawn = draw(graph, None, format="mmd", **options)  # type: ignore[arg-type]
    assert isinstance(drawn, str)
    return drawn


def read(label: str) -> str:
    """Return a label as Mermaid shows it: its numbers are characters."""
    shown = re.sub(r"#(\d+);", lambda found: chr(int(found[1])), label)
    return shown.replace(JOINER, "")


@pytest.mark.parametrize("name", ["mlp", "residual", "scalars", "oddities"])
def test_golden(name: str) -> None:
    assert_golden(f"{name}.mmd", mermaid(getattr(examples, name)(), title=f"The {name}"))


@pytest.mark.parametrize("name", ["mlp", "residual", "scalars", "oddities"])
def test_every_line_is_one_of_the_grammar(name: str) -> None:
    graph = getattr(examples, name)()
    lines = mermaid(graph).splitlines()
    assert lines[0] == "flowchart TB"
    nodes = {found[1] for line in lines if (found := NODE.match(line))}
    ends = [(found[1], found[4]) for line in lines if (found := ARROW.match(line))]
    assert len(nodes) == len(graph)
    assert len(ends) == graph.number_of_edges()
    assert nodes.issuperset(end for pair in ends for end in pair)
    rest = [
        line
        for line in lines[1:]
        if not any(each.match(line) for each in (NODE, ARROW, FRAME, STYLE))
    ]
    assert {line.strip() for line in rest} <= {"end"}


@pytest.mark.parametrize(("direction", "word"), [("up", "BT"), ("right", "LR"), ("left", "RL")])
def test_direction(direction: str, word: str) -> None:
    assert mermaid(examples.mlp(), direction=direction).startswith(f"flowchart {word}\n")


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_stays_text(name: str) -> None:
    graph = examples.hostile([name])
    lines = mermaid(graph, title=name).splitlines()
    labels = [found[2] for line in lines if (found := NODE.match(line))]
    assert len(labels) == 2
    shown = {read(label.split("<br/>")[0]) for label in labels}
    scope = {node: data["scope"] for node, data in graph.nodes(data=True)}
    names = {node.removeprefix(f"{scope[node]}.") for node in graph}
    assert shown & {middle(printable(each), 26) for each in names}
    for label in labels:
        assert not re.search(r'["<>&%$`|{}\\]', label.replace("<br/>", ""))


def test_escaped_leaves_nothing_to_read_otherwise() -> None:
    assert html.unescape(read(escaped("<a & b> %% 1.5 1. x"))) == "<a & b> %% 1.5 1. x"
    assert escaped("0.125 × 3") == "0.125 × 3"


def test_a_planted_label_without_escape_is_caught() -> None:
    assert not NODE.match('n0["a"]; click n0 "javascript:1"')
    assert ARROW.match('  n0 -->|"×1"| n1')
    assert not STYLE.match('  style n0 fill:red"')
