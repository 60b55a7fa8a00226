"""Figures laid out by the real Graphviz, and read back."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree as ET

import pydot
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gradtrace_graphviz.layout
from gradtrace.errors import RendererError, RenderError
from gradtrace.render import THEMES, figure
from gradtrace.render.numbers import middle, printable
from gradtrace_graphviz import GraphvizRenderer, to_dot, to_pydot
from gradtrace_graphviz.layout import lay_out
from tests.render import examples
from tests.render.golden import assert_golden

SVG = "{http://www.w3.org/2000/svg}"
NASTY = [
    "<AddBackward0>", '"', "a:b", "\\", "\\N", "\\l\\", "a\nb", "&amp;", "&#65;", "]]>", "<!--",
    "<B>x</B>", "x" * 200, "名前", "🙂", "\x00", "\ud800", " ", "{a|b}", "%s", "node", "‮",
]  # fmt: skip


def texts(drawing: bytes) -> list[str]:
    root = ET.fromstring(drawing)
    return [element.text or "" for element in root.iter(f"{SVG}text")]


def tooltips(drawing: bytes) -> list[str]:
    root = ET.fromstring(drawing)
    return [element.text or "" for element in root.iter(f"{SVG}title")]


@pytest.mark.parametrize("name", ["mlp", "oddities", "residual", "scalars"])
def test_dot_is_golden(name: str) -> None:
    assert_golden(f"{name}.dot", to_dot(figure(getattr(examples, name)())))


def test_a_folded_figure_is_golden() -> None:
    assert_golden("folded.dot", to_dot(figure(examples.residual(3), depth=2, title="Residual")))


@pytest.mark.parametrize(
    ("format", "magic"), [("svg", b"<?xml"), ("pdf", b"%PDF"), ("png", b"\x89PNG")]
)
def test_formats_are_drawn_without_the_dot_program(
    format: str, magic: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda program: None)
    drawing = GraphvizRenderer().render(figure(examples.mlp()), format)
    assert drawing.startswith(magic)


def test_the_svg_holds_all_that_is_drawn() -> None:
    drawn = figure(examples.residual(), title="A residual network")
    shown = texts(GraphvizRenderer().render(drawn, "svg"))
    for node in drawn.nodes:
        for row in node.rows:
            assert row.text in shown
            assert not row.caption or row.caption in shown
    assert {edge.label for edge in drawn.edges if edge.label} <= {text.strip() for text in shown}
    assert {cluster.label for cluster in drawn.clusters} <= set(shown)
    assert "A residual network" in shown
    assert drawn.legend is not None
    assert {look.meaning for look in drawn.legend.looks} <= set(shown)
    assert {sample.text for sample in drawn.legend.scale} <= set(shown)


@given(st.lists(st.one_of(st.sampled_from(NASTY), st.text(min_size=1)), min_size=1, max_size=4))
@settings(max_examples=25, deadline=None)
def test_any_name_is_safe(names: list[str]) -> None:
    graph = examples.hostile(names)
    drawing = GraphvizRenderer().render(figure(graph, title=names[0]), "svg")
    shown = [text.split() for text in texts(drawing)]
    whole = " ".join(tooltips(drawing)).split()
    for node in graph:
        if graph.nodes[node]["kind"] == "parameter":
            assert middle(printable(node), 26).split() in shown
        assert " ".join(printable(node).split()) in " ".join(whole)


@given(st.lists(st.sampled_from(NASTY), min_size=1, max_size=3))
@settings(max_examples=10, deadline=None)
def test_any_name_is_safe_through_pydot(names: list[str]) -> None:
    drawn = figure(examples.hostile(names))
    own = texts(lay_out(to_dot(drawn), "svg"))
    assert sorted(texts(lay_out(to_pydot(drawn).to_string(), "svg"))) == sorted(own)


def test_pydot_has_the_nodes_edges_and_frames() -> None:
    drawn = figure(examples.residual())
    graph = to_pydot(drawn)
    frames: list[pydot.Graph] = [graph]
    names: list[str] = []
    for frame in frames:
        frames += frame.get_subgraphs()
        names += [node.get_name() for node in frame.get_nodes()]
    assert sorted(set(names) - {"node", "edge"}) == sorted(node.id for node in drawn.nodes)
    edges = [(edge.get_source(), edge.get_destination()) for edge in graph.get_edges()]
    assert edges == [(edge.tail, edge.head) for edge in drawn.edges]
    assert len(frames) == 1 + len(drawn.clusters)


def test_long_names_are_cut_in_the_middle_and_whole_in_the_tooltip() -> None:
    name = "begin" + "x" * 190 + "final"
    drawing = GraphvizRenderer().render(figure(examples.hostile([name])), "svg")
    assert any(text.startswith("begin") and text.endswith("final") for text in texts(drawing))
    assert max(map(len, texts(drawing))) < 100
    assert any(name in tooltip for tooltip in tooltips(drawing))


@pytest.mark.parametrize("direction", ["down", "up", "right", "left"])
def test_directions_are_drawn(direction: str) -> None:
    drawing = GraphvizRenderer().render(figure(examples.mlp(), direction=direction), "svg")
    root = ET.fromstring(drawing)
    wide, high = (float(root.get(side, "").removesuffix("pt")) for side in ("width", "height"))
    assert (wide > high) == (direction in ("right", "left"))


def test_a_deep_stack_stays_narrow_and_quick() -> None:
    start = time.perf_counter()
    drawing = GraphvizRenderer().render(figure(examples.stack(40)), "svg")
    assert time.perf_counter() - start < 10
    root = ET.fromstring(drawing)
    assert float(root.get("width", "").removesuffix("pt")) < 700


def test_a_layout_without_end_is_stopped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    endless = tmp_path / "endless.py"
    endless.write_text("while True: pass")
    monkeypatch.setattr(
        gradtrace_graphviz.layout, "_command", lambda _: [sys.executable, str(endless)]
    )
    with pytest.raises(RenderError, match=r"more than 0.5 s and was stopped; .*depth=1"):
        lay_out("digraph { endless }", "svg", seconds=0.5)


def test_a_layout_that_fails_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda program: None)
    with pytest.raises(RenderError, match="Graphviz failed with status"):
        lay_out("digraph { a -> ", "svg")


def test_without_graphviz_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda program: None)
    monkeypatch.setattr(gradtrace_graphviz.layout, "find_spec", lambda name: None)
    with pytest.raises(RendererError, match=r"pip install 'gradtrace\[graphviz\]'"):
        lay_out("digraph { unheard }", "svg")
    assert GraphvizRenderer().render(figure(examples.mlp()), "dot").startswith(b"digraph")


def test_the_dot_program_is_used_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: list[list[str]] = []

    def run(command: list[str], **options: object) -> subprocess.CompletedProcess[bytes]:
        seen.append(command)
        return subprocess.CompletedProcess(command, 0, b"drawn", b"")

    monkeypatch.setattr(shutil, "which", lambda program: f"/somewhere/{program}")
    monkeypatch.setattr(subprocess, "run", run)
    assert lay_out("digraph { seen }", "png") == b"drawn"
    assert lay_out("digraph { seen }", "png") == b"drawn"
    assert seen == [["/somewhere/dot", "-Tpng", "-Gdpi=150", "-Gsize=60,60"]]


@pytest.mark.parametrize("theme", THEMES)
def test_dot_has_the_colours_of_its_theme(theme: str) -> None:
    dot = to_dot(figure(examples.residual(), theme=theme, math=True, title="A title", depth=2))
    known = THEMES[theme]
    legal = {known.ink, known.grey, known.alarm, known.faint, known.frame, *known.frames}
    legal |= {colour for pair in known.roles.values() for colour in pair}
    inks = set(re.findall(r'<FONT POINT-SIZE="\d+" COLOR="(#\w+)"', dot))
    assert known.ink in inks
    assert inks <= {known.ink, known.grey, known.alarm}
    assert set(re.findall(r'fillcolor="(#\w+)"', dot)) <= legal


def test_a_digraph_is_drawn_without_a_program(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("pygraphviz")
    monkeypatch.setenv("PATH", "")
    graph = GraphvizRenderer().digraph(figure(examples.mlp()), "mlp")
    target = graph.render(tmp_path / "mlp", format="svg", cleanup=True)
    assert [path.name for path in tmp_path.iterdir()] == ["mlp.svg"]
    assert Path(target).read_text(encoding="utf-8") == graph.pipe("svg", encoding="utf-8")
    assert "cross_entropy" in graph._repr_mimebundle_()["image/svg+xml"]
    graph.render(outfile=tmp_path / "other.png")
    assert (tmp_path / "other.png").read_bytes().startswith(b"\x89PNG")
