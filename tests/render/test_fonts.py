"""The fonts that an SVG brings, in a real browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gradtrace_graphviz.fonts import width
from tests.render import examples


@pytest.mark.parametrize("bold", [False, True])
def test_an_svg_is_set_in_the_font_that_it_brings(browser: Any, tmp_path: Path, bold: bool) -> None:
    path = examples.mlp().render(tmp_path / "figure.svg", title="Wide Words")
    browser.get(path.as_uri())
    statuses = "return Promise.all([...document.fonts].map(f => f.load().then(f => f.status)))"
    assert browser.execute_script(statuses) == ["loaded", "loaded"]
    assert browser.get_log("browser") == []
    lengths = browser.execute_script(  # as long as the font makes them, not as they are told
        "document.querySelectorAll('text').forEach(t => t.removeAttribute('textLength'));"
        "return [...document.querySelectorAll('text')].map(t => [t.textContent, "
        "t.getComputedTextLength(), +t.getAttribute('font-size'), t.getAttribute('font-weight')])"
    )
    own = [each for each in lengths if (each[3] == "bold") == bold]
    assert len(own) > 5
    for text, long, size, _ in own:
        assert long == pytest.approx(width(text, size=size, bold=bold), rel=0.02, abs=0.2)
