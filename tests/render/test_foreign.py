"""Characters that the font of figures does not have: drawn with another one, or told."""

from __future__ import annotations

import re
import shutil

import pytest

from gradtrace.render import figure
from gradtrace_graphviz import foreign
from gradtrace_graphviz.drawing import drawing
from gradtrace_graphviz.fonts import width
from gradtrace_graphviz.pdf import to_pdf
from gradtrace_graphviz.scene import Shape
from gradtrace_graphviz.svg import to_svg
from tests.render import examples
from tests.render.test_drawing import text_of_pdf

needs_fonts = pytest.mark.skipif(
    shutil.which("fc-list") is None or foreign.outline("☃") is None,
    reason="no font with U+2603, or no fontconfig, is installed",
)


def shapes(name: str) -> int:
    """Return how many shapes a page has that shows `name`, its characters drawn."""
    page = drawing(figure(examples.hostile([name]), legend=False))
    return sum(isinstance(part, Shape) for group in foreign.outlined(page) for part in group.parts)


def test_an_svg_leaves_them_to_the_fonts_of_its_reader() -> None:
    page = drawing(figure(examples.hostile(["中文 🦊"])))
    assert "中文 🦊" in to_svg(page).decode()


def test_their_room_is_that_of_their_kind() -> None:
    assert width("中", size=10) > 10
    assert 7 < width("☃", size=10) < 10
    assert width("e\u0301", size=10) == width("e", size=10)


@needs_fonts
def test_what_another_font_has_is_drawn() -> None:
    assert shapes("a☃") > shapes("ab")
    data = to_pdf(drawing(figure(examples.hostile(["Schnee ☃"]))))
    assert "Schnee" in text_of_pdf(data)


def test_what_no_font_has_is_told_with_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foreign, "outline", lambda character: None)
    page = drawing(figure(examples.hostile(["net 中"])))
    told = "no font of this machine has '中' (U+4E2D) in 'net 中': a box is drawn instead; install"
    with pytest.warns(UserWarning, match=re.escape(told)):
        to_pdf(page)


def test_without_fontconfig_no_font_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert foreign.outline("\u2615") is None
    foreign.outline.cache_clear()


def test_what_the_font_has_is_left_alone() -> None:
    page = drawing(figure(examples.mlp()))
    texts = [part for group in page.groups for part in group.parts]
    assert [part for group in foreign.outlined(page) for part in group.parts] == texts
