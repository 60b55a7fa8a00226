"""Drawings read back: what is on the page, in which font, how large, and that nothing is off it."""

from __future__ import annotations

import io
import re
import time
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import pypdfium2
import pytest
from fontTools.ttLib import TTFont
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import gradtrace.render
from gradtrace.errors import PageError, RendererError
from gradtrace.graph import Graph
from gradtrace.render import THEMES, figure
from gradtrace.render.parts import Figure
from gradtrace_graphviz import GraphvizRenderer, mathematics
from gradtrace_graphviz.drawing import drawing
from gradtrace_graphviz.fonts import font_file, width
from gradtrace_graphviz.mathematics import typeset
from gradtrace_graphviz.paper import SMALLEST
from gradtrace_graphviz.scene import Page, Text, reach
from tests.render import examples
from tests.render.test_graphviz import NASTY, SVG

PAGES = {"column": 3.25, "text": 6.75, "5": 5.0}


def render(drawn: Figure, format: str) -> bytes:
    return GraphvizRenderer().render(drawn, format)


def words_of(drawn: Figure) -> set[str]:
    """Return all that a figure says."""
    rows = [row for node in drawn.nodes for row in node.rows]
    said = {row.text for row in rows} | {row.caption for row in rows if row.caption}
    said |= {edge.label for edge in drawn.edges if edge.label}
    return said | {cluster.label for cluster in drawn.clusters}


def texts(page: Page) -> list[Text]:
    return [part for group in page.groups for part in group.parts if isinstance(part, Text)]


def text_of_pdf(data: bytes) -> str:
    document = pypdfium2.PdfDocument(data)
    try:
        return document[0].get_textpage().get_text_range()
    finally:
        document.close()


def size_of_pdf(data: bytes) -> tuple[float, float]:
    document = pypdfium2.PdfDocument(data)
    try:
        assert len(document) == 1
        return document[0].get_size()
    finally:
        document.close()


def graphs() -> list[tuple[str, Graph]]:
    names = ("mlp", "oddities", "residual", "scalars")
    return [(name, getattr(examples, name)()) for name in names]


@pytest.mark.parametrize(("name", "graph"), graphs())
@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_its_width_and_nothing_is_outside(name: str, graph: Graph, page: str) -> None:
    inches = PAGES[page]
    drawn = figure(graph, width=page if page in ("column", "text") else inches, title="A title")
    made = drawing(drawn)
    assert made.width * made.scale == pytest.approx(72 * inches)
    for group in made.groups:
        if group.parts:
            left, top, right, low = reach(group.parts)
            assert 0 <= left <= right <= made.width
            assert 0 <= top <= low <= made.height
    assert min(text.size for text in texts(made)) * made.scale >= SMALLEST - 1e-9
    root = ET.fromstring(render(drawn, "svg"))
    assert root.get("width") == f"{72 * inches:g}pt"
    wide, high = size_of_pdf(render(drawn, "pdf"))
    assert wide == pytest.approx(72 * inches, abs=0.01)
    assert high == pytest.approx(made.height * made.scale, abs=0.01)


@pytest.mark.parametrize(("name", "graph"), graphs())
def test_all_text_can_be_selected_in_the_pdf(name: str, graph: Graph) -> None:
    drawn = figure(graph)
    found = re.sub(r"\s+", " ", text_of_pdf(render(drawn, "pdf")))
    for said in words_of(drawn):
        assert re.sub(r"\s+", " ", said.strip()) in found


@pytest.mark.parametrize(("name", "graph"), graphs())
def test_all_text_is_text_in_the_svg(name: str, graph: Graph) -> None:
    drawn = figure(graph)
    root = ET.fromstring(render(drawn, "svg"))
    assert words_of(drawn) <= {element.text for element in root.iter(f"{SVG}text")}


def test_the_pdf_embeds_its_fonts_and_no_raster() -> None:
    data = render(figure(examples.residual(), show=["values", "grids"]), "pdf")
    assert data.count(b"/FontFile2") == data.count(b"/FontDescriptor") // 2 == 2
    fonts = set(re.findall(rb"/BaseFont /([\w+-]+)", data))
    assert {font.partition(b"+")[2] for font in fonts} == {b"Arimo", b"Arimo-Bold"}
    assert b"/Type3" not in data
    assert b"/Subtype /Image" not in data
    assert data == render(figure(examples.residual(), show=["values", "grids"]), "pdf")


def test_the_svg_brings_the_characters_that_it_shows() -> None:
    data = render(figure(examples.mlp(), title="Größe ‖∂‖"), "svg").decode()
    faces = re.findall(r"font-weight:(\w+);src:url\(data:font/woff;base64,([^)]+)\)", data)
    assert [weight for weight, _ in faces] == ["normal", "bold"]
    import base64

    bold = TTFont(io.BytesIO(base64.b64decode(faces[1][1])))
    assert set("Größe ‖∂‖") <= {chr(code) for code in bold.getBestCmap()}
    assert "<image" not in data
    assert len(data) < 60_000


@pytest.mark.parametrize("format", ["svg", "pdf", "png"])
def test_the_background_is_transparent_unless_the_theme_has_one(format: str) -> None:
    from dataclasses import replace

    painted = replace(THEMES["dark"], background="#14181F")
    plain = render(figure(examples.scalars(), theme="dark"), format)
    filled = render(figure(examples.scalars(), theme=painted), format)
    if format == "png":
        corners = [Image.open(io.BytesIO(data)).convert("RGBA").getpixel((0, 0))
                   for data in (plain, filled)]  # fmt: skip
        assert corners == [(0, 0, 0, 0), (20, 24, 31, 255)]
    else:
        assert plain != filled
        assert (b'<rect width="100%"' in filled) == (format == "svg")
        assert b'<rect width="100%"' not in plain


def test_measured_widths_are_those_of_the_font() -> None:
    with TTFont(font_file(bold=False)) as font:
        advance = sum(font["hmtx"][font.getBestCmap()[ord(c)]][0] for c in "gradient")
        assert width("gradient", size=10) == pytest.approx(10 * advance / font["head"].unitsPerEm)


def test_text_stays_inside_its_box() -> None:
    made = drawing(figure(examples.oddities()))
    for group in made.groups:
        if group.kind == "node":
            left, top, right, low = reach(group.parts[:1])
            for part in group.parts[1:]:
                x0, y0, x1, y1 = reach([part])
                assert left <= x0
                assert x1 <= right + 0.01
                assert top <= y0
                assert y1 <= low + 0.01


@pytest.mark.filterwarnings("ignore:no font of this machine has")
@given(st.lists(st.one_of(st.sampled_from(NASTY), st.text(min_size=1)), min_size=1, max_size=3))
@settings(max_examples=15, deadline=None)
def test_any_name_can_be_drawn_on_a_page(names: list[str]) -> None:
    graph = examples.hostile(names)
    for format in ("svg", "pdf"):
        drawn = figure(graph, width="text", title=names[0], show=["values", "parameters"])
        assert render(drawn, format)


def test_what_does_not_fit_its_page_is_folded_until_it_does(tmp_path: Path) -> None:
    graph = examples.residual(40)
    with pytest.raises(PageError, match=r"with text of 6 points the figure is .* inches high"):
        render(figure(graph, width="column", fold_repeats=False, limit_nodes=500), "svg")
    assert graph.render(tmp_path / "figure.pdf", width="column").exists()  # type: ignore[union-attr]
    with pytest.raises(PageError, match="choose a larger width="):
        graph.render(width="column", fold_repeats=False, limit_nodes=500)


def test_a_formula_becomes_shapes_of_its_size() -> None:
    formula = typeset(r"\frac{\partial h}{\partial z} = \sigma'(z)", 10.0, "#000000")
    assert formula is not None
    wide, ascent, descent, shapes = formula
    left, top, right, low = reach(shapes)
    assert -1 <= left <= right <= wide + 1
    assert -ascent - 1 <= top < 0 < low <= descent + 1
    assert 30 < wide < 90
    larger = typeset(r"\frac{\partial h}{\partial z} = \sigma'(z)", 20.0, "#000000")
    assert larger is not None
    assert larger[0] == pytest.approx(2 * wide, rel=0.1)


def test_mathematics_is_typeset_in_svg_and_pdf() -> None:
    drawn = figure(examples.mlp(), math=True)
    formulas = [row.text for node in drawn.nodes for row in node.rows if row.role == "formula"]
    assert "h = {z₁ if z₁ > 0, 0 else}" in formulas
    labels = [edge.label for edge in drawn.edges]
    assert "∂h/∂z₁ = relu'(z₁)  ×0.758" in labels
    root = ET.fromstring(render(drawn, "svg"))
    shown = {element.text for element in root.iter(f"{SVG}text")}
    assert "h = {z₁ if z₁ > 0, 0 else}" not in shown
    plain = render(figure(examples.mlp()), "svg").count(b"<path")
    assert render(drawn, "svg").count(b"<path") > plain + 50
    assert "h = {" not in text_of_pdf(render(drawn, "pdf"))


def test_without_a_typesetter_formulas_are_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ziamath.zmath", None)
    mathematics.typeset.cache_clear()
    try:
        root = ET.fromstring(render(figure(examples.mlp(), math=True), "svg"))
    finally:
        mathematics.typeset.cache_clear()
    assert "h = {z₁ if z₁ > 0, 0 else}" in {element.text for element in root.iter(f"{SVG}text")}


def test_a_formula_that_cannot_be_typeset_is_text() -> None:
    assert typeset(r"\begin{nowhere}", 10.0, "#000000") is None


@pytest.mark.parametrize(("format", "module"), [("pdf", "reportlab.pdfbase"), ("png", "pypdfium2")])
def test_a_missing_package_is_named(
    format: str, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gradtrace_graphviz import pdf

    pdf._register.cache_clear()
    monkeypatch.setitem(__import__("sys").modules, module, None)
    name = module.partition(".")[0]
    with pytest.raises(RendererError, match=rf"format='{format}' needs the package '{name}'"):
        render(figure(examples.scalars()), format)


def test_gradients_run_against_values() -> None:
    both = figure(examples.mlp(), passes="both")
    pairs = [(a, b) for a, b in pairwise(both.edges) if b.kind == "gradient"]
    assert pairs
    assert all((a.tail, a.head) == (b.head, b.tail) for a, b in pairs)
    heads = {format: render(both, format) for format in ("svg", "pdf")}
    single = render(figure(examples.mlp()), "svg")
    assert heads["svg"].count(b'class="edge"') == single.count(b'class="edge"') + len(pairs)


def test_a_large_graph_is_drawn_in_time() -> None:
    start = time.perf_counter()
    gradtrace.render.draw(examples.residual(100), None, width="text")
    assert time.perf_counter() - start < 6
