"""TikZ documents: goldens, compiled with a real engine, all text in the page."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gradtrace.render import draw, figure
from gradtrace.render.layout import Spot, lay_out
from gradtrace.render.tikz.boxes import box_size
from tests.render import examples
from tests.render.golden import assert_golden
from tests.render.names import HOSTILE

needs_tex = pytest.mark.skipif(
    shutil.which("pdflatex") is None or shutil.which("pdftotext") is None,
    reason="pdflatex (TeX Live) or pdftotext (Poppler) is not installed",
)


def tikz(graph: Any, **options: Any) -> str:
    drawn = draw(graph, None, format="tex", **options)
    assert isinstance(drawn, str)
    return drawn


@pytest.fixture
def compiled(tmp_path: Path) -> Callable[[str], str]:
    """Compile a document; return the text of its only page."""

    def run(source: str) -> str:
        (tmp_path / "figure.tex").write_text(source, encoding="utf-8")
        command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "figure.tex"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
        assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]
        text = subprocess.run(
            ["pdftotext", "-layout", "figure.pdf", "-"],
            cwd=tmp_path,
            capture_output=True,
            check=True,
        )
        return text.stdout.decode()

    return run


@pytest.mark.parametrize("name", ["mlp", "residual", "scalars"])
def test_golden(name: str) -> None:
    assert_golden(f"{name}.tex", tikz(getattr(examples, name)(), title=f"The {name}"))


@needs_tex
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"theme": "dark", "direction": "right"},
        {"theme": "grayscale", "passes": "both", "direction": "up"},
        {"width": "column", "direction": "left"},
        {"highlight": "x", "fold_repeats": True},
        {"math": True, "show": ["grids", "values", "local_derivatives"]},
    ],
)
def test_it_compiles(compiled: Callable[[str], str], options: dict[str, Any]) -> None:
    text = compiled(tikz(examples.residual(), **options))
    assert "cross_entropy" in text
    assert "2.41" in text


@needs_tex
def test_all_numbers_are_on_the_page(compiled: Callable[[str], str]) -> None:
    graph = examples.mlp()
    text = compiled(tikz(graph))
    rows = [row for node in figure(graph).nodes for row in node.rows]
    for row in rows:
        for word in row.text.replace("×", " ").split():
            assert word in text


@needs_tex
def test_hostile_names_compile_and_stay_text(compiled: Callable[[str], str]) -> None:
    names = [name for name in HOSTILE if "🦊" not in name]
    text = compiled(tikz(examples.hostile(names), title="\\end{document} % 100 $ _"))
    for name in ("<b>bold</b>", 'quo"te', "co:lon", "100%", "a|b&amp;c", "~^{}[]", "new\\nline"):
        assert name in text
    assert "\\end{document} % 100 $ _" in text


@needs_tex
def test_a_character_without_a_sign_is_its_number(compiled: Callable[[str], str]) -> None:
    text = compiled(tikz(examples.hostile(["中文 β é 🦊"])))
    assert "U+4E2DU+6587" in text
    assert "é" in text


@needs_tex
def test_a_planted_name_without_escape_is_caught(compiled: Callable[[str], str]) -> None:
    with pytest.raises(AssertionError, match=r"Error|Emergency|Missing|Undefined"):
        compiled(tikz(examples.mlp()).replace("cross\\_entropy", "cross\\entropy_"))


def test_the_document_needs_no_file_beside_it() -> None:
    source = tikz(examples.mlp())
    assert source.startswith("\\documentclass[border=4pt]{standalone}")
    assert not re.search(r"\\(input|include|includegraphics)\b", source)


@pytest.mark.parametrize("direction", ["down", "up", "right", "left"])
@pytest.mark.parametrize("name", ["mlp", "residual", "scalars", "oddities"])
def test_boxes_do_not_overlap_and_lie_in_their_frames(name: str, direction: str) -> None:
    drawn = figure(getattr(examples, name)(), direction=direction)
    layout = lay_out(drawn, {node.id: box_size(node, drawn) for node in drawn.nodes})
    spots = list(layout.nodes.values())
    for index, one in enumerate(spots):
        for other in spots[:index]:
            assert apart(one, other)
    for node in drawn.nodes:
        if node.cluster is not None:
            assert within(layout.nodes[node.id], layout.frames[node.cluster])
    for cluster in drawn.clusters:
        if cluster.parent is not None:
            assert within(layout.frames[cluster.id], layout.frames[cluster.parent])


def test_overlap_is_seen_where_it_is() -> None:
    assert not apart(Spot(0, 0, 10, 10), Spot(5, 5, 10, 10))
    assert not within(Spot(0, 0, 10, 10), Spot(5, 0, 10, 10))


@pytest.mark.parametrize(
    ("direction", "sign", "axis"), [("down", 1, 1), ("up", -1, 1), ("right", 1, 0), ("left", -1, 0)]
)
def test_values_flow_where_they_are_told_to(direction: str, sign: int, axis: int) -> None:
    drawn = figure(examples.residual(), direction=direction)
    layout = lay_out(drawn, {node.id: box_size(node, drawn) for node in drawn.nodes})
    for edge in drawn.edges:
        if edge.tail not in layout.beside:
            tail, head = layout.nodes[edge.tail], layout.nodes[edge.head]
            assert sign * ((head.x, head.y)[axis] - (tail.x, tail.y)[axis]) > 0


def apart(one: Spot, other: Spot) -> bool:
    return (
        abs(one.x - other.x) >= (one.width + other.width) / 2 - 1e-6
        or abs(one.y - other.y) >= (one.height + other.height) / 2 - 1e-6
    )


def within(inner: Spot, outer: Spot) -> bool:
    return (
        abs(inner.x - outer.x) <= (outer.width - inner.width) / 2 + 1e-6
        and abs(inner.y - outer.y) <= (outer.height - inner.height) / 2 + 1e-6
    )
