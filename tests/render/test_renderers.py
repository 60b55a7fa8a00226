"""Finding a renderer, and saying why there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradtrace.errors import OptionError, RendererError, RenderError
from gradtrace.render import Figure, draw
from tests.render import examples
from tests.render.conftest import Installed

HERE = __name__


class Shouting:
    name = "shouting"
    formats: tuple[str, ...] = ("loud", "raw")

    def render(self, figure: Figure, format: str) -> bytes:
        return b"\xff" if format == "raw" else f"{len(figure.nodes)} NODES".encode()


class Mute:
    name = "mute"


def explode() -> None:
    raise RuntimeError("no licence")


def test_a_renderer_is_found_by_format(installed: Installed) -> None:
    installed.add("shouting", f"{HERE}:Shouting")
    graph = examples.scalars()
    assert draw(graph, None, format="loud") == "6 NODES"
    assert draw(graph, None, format="raw") == b"\xff"


def test_a_path_names_the_format_and_is_returned(installed: Installed, tmp_path: Path) -> None:
    installed.add("shouting", f"{HERE}:Shouting")
    path = draw(examples.scalars(), tmp_path / "graph.LOUD")
    assert path == tmp_path / "graph.LOUD"
    assert (tmp_path / "graph.LOUD").read_text() == "6 NODES"


def test_without_renderer_the_message_says_what_to_install(installed: Installed) -> None:
    with pytest.raises(RendererError, match=r"pip install 'gradtrace\[graphviz\]'"):
        draw(examples.scalars(), None)


def test_an_unknown_format_lists_the_legal_ones(graphviz_only: Installed) -> None:
    with pytest.raises(RendererError, match="format='gif'; use one of 'dot', 'graphml', 'html', "):
        draw(examples.scalars(), None, format="gif")


def test_broken_renderers_are_named_with_their_reason(installed: Installed) -> None:
    installed.add("bad", f"{HERE}:explode")
    installed.add("gone", "no_such_module:Renderer")
    installed.add("mute", f"{HERE}:Mute")
    with pytest.raises(RendererError) as caught:
        draw(examples.scalars(), None)
    message = str(caught.value)
    assert "bad of unknown is broken (RuntimeError: no licence)" in message
    assert "gone of unknown is broken (ModuleNotFoundError" in message
    assert "mute of unknown is no renderer" in message


def test_a_broken_renderer_does_not_break_the_rest(graphviz_only: Installed) -> None:
    graphviz_only.add("bad", f"{HERE}:explode")
    assert str(draw(examples.scalars(), None, format="dot")).startswith("digraph")


def test_an_unknown_option_lists_the_legal_ones(graphviz_only: Installed) -> None:
    legal = "depth, direction, focus"
    with pytest.raises(OptionError, match=f"deph= is not an option of a figure; .* {legal}"):
        draw(examples.scalars(), None, deph=1)


def test_a_path_without_ending_asks_for_one(graphviz_only: Installed, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="pass format='svg'"):
        draw(examples.scalars(), tmp_path / "graph")


def test_a_path_that_cannot_be_written_says_so(graphviz_only: Installed, tmp_path: Path) -> None:
    with pytest.raises(RenderError, match=r"cannot write .*choose another path"):
        draw(examples.scalars(), tmp_path / "nowhere" / "graph.dot")
