"""TikZ documents: goldens, compiled with a real engine, all text in the page."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pypdfium2 import PdfDocument

from gradtrace.render import draw, figure
from gradtrace_graphviz.paper import SMALLEST
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


def without_places(source: str) -> str:
    """Return a document without what differs between versions of Graphviz."""
    source = re.sub(r"\(-?[\d.]+,-?[\d.]+\)", "(x,y)", source)
    return re.sub(r"( \.\. controls \(x,y\) and \(x,y\) \.\. \(x,y\))+", r"\1", source)


@pytest.mark.parametrize("name", ["mlp", "residual", "scalars"])
def test_golden(name: str) -> None:
    source = tikz(getattr(examples, name)(), title=f"The {name}")
    assert_golden(f"{name}.tex", without_places(source))


@needs_tex
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"theme": "dark", "direction": "right"},
        {"theme": "grayscale", "passes": "both", "direction": "up"},
        {"width": "text", "direction": "left", "depth": 1},
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


@needs_tex
@pytest.mark.parametrize("page", ["column", "text"])
def test_the_page_is_that_of_the_pdf(tmp_path: Path, page: str) -> None:
    graph = examples.residual()
    graph.render(tmp_path / "drawn.pdf", width=page)
    (tmp_path / "compiled.tex").write_text(tikz(graph, width=page), encoding="utf-8")
    subprocess.run(
        ["pdflatex", "-interaction=batchmode", "compiled"], cwd=tmp_path, check=True,
        capture_output=True,
    )  # fmt: skip
    sizes = [PdfDocument(tmp_path / f"{name}.pdf")[0].get_size() for name in ("drawn", "compiled")]
    assert sizes[1] == pytest.approx(sizes[0], abs=0.2)
    fonts = re.findall(r"\\fontsize\{([\d.]+)bp\}", tikz(graph, width=page))
    assert min(map(float, fonts)) >= SMALLEST - 0.005


def test_formulas_are_source() -> None:
    source = tikz(examples.scalars(), math=True)
    assert r"$\displaystyle" in source
    assert r"\frac{\partial" in source


def test_the_document_needs_no_file_beside_it() -> None:
    source = tikz(examples.mlp())
    assert source.startswith("\\documentclass[border=0pt]{standalone}")
    assert not re.search(r"\\(input|include|includegraphics)\b", source)
