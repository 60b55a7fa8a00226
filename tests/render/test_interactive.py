"""The interactive page as a file: what is in it, and that nothing in it can break out."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from gradtrace.errors import OptionError
from gradtrace.render import draw
from gradtrace.render.convex import convex
from gradtrace.render.scopes import Frames, Place
from tests.render import examples
from tests.render.names import HOSTILE


def page(graph: Any, **options: Any) -> str:
    drawn = draw(graph, None, format="html", **options)
    assert isinstance(drawn, str)
    return drawn


class Reader(HTMLParser):
    """Reads a page as a browser does: scripts are text, until they end."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: dict[str, list[str]] = {}
        self.inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.inside = dict(attrs).get("id") or tag

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""

    def handle_data(self, data: str) -> None:
        self.text.setdefault(self.inside, []).append(data)

    def data(self) -> Any:
        return json.loads(self.text["data"][0])


@pytest.mark.parametrize("name", ["mlp", "residual", "scalars", "oddities"])
def test_it_holds_the_whole_graph(name: str) -> None:
    graph = getattr(examples, name)()
    data = Reader(page(graph)).data()
    assert {node["id"] for node in data["nodes"]} == set(graph)
    ends = sorted(
        (data["nodes"][data["boxes"][edge[end]][0]]["id"])
        for edge in data["edges"]
        for end in ("from", "to")
    )
    assert ends == sorted(end for pair in graph.edges() for end in pair)


def test_it_loads_nothing() -> None:
    text = page(examples.mlp())
    for tag, attributes in Reader(text).tags:
        assert tag not in ("link", "img", "iframe", "object", "base")
        assert not {"src", "href", "action"} & set(attributes)
    assert set(re.findall(r"https?://[^\s\"']+", text)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest|WebSocket|import\(", text)
    [policy] = [a["content"] for t, a in Reader(text).tags if a.get("http-equiv")]
    assert policy is not None
    assert policy.startswith("default-src 'none'")


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_breaks_out_of_nothing(name: str) -> None:
    plain, hostile = (
        Reader(page(examples.hostile(["w"]))),
        Reader(page(examples.hostile([name]), title=name)),
    )
    assert [tag for tag, _ in hostile.tags] == [tag for tag, _ in plain.tags]
    assert {node["id"] for node in hostile.data()["nodes"]} == set(examples.hostile([name]))
    assert "".join(hostile.text["title"]).replace("\x00", "�") in (
        name.replace("\x00", "�"),
        name,
    )


def test_the_parts_of_the_page_are_files_of_the_package() -> None:
    folder = Path(__file__).parents[2] / "gradtrace" / "render" / "interactive"
    scripts = sorted(folder.glob("*.js"))
    assert len(scripts) == 7
    text = page(examples.mlp())
    for part in [*scripts, folder / "page.css"]:
        source = part.read_text(encoding="utf-8")
        assert source in text
        assert len(source.splitlines()) <= 300


@pytest.mark.parametrize("depth", [-1, True, "all", 1.5])
def test_a_depth_that_is_no_count_is_refused(depth: Any) -> None:
    with pytest.raises(OptionError, match=f"depth={depth!r} is not an option; use an integer"):
        page(examples.mlp(), depth=depth)


def test_options_of_a_figure_are_refused_with_the_legal_ones() -> None:
    with pytest.raises(OptionError, match=r"direction= is not an option of format='html'; .*depth"):
        page(examples.mlp(), direction="up")


def test_a_scope_that_a_value_leaves_and_enters_again_is_no_box() -> None:
    places = [Place("list.0"), Place("list.0"), Place(), Place("list.1"), Place("list.1")]
    frames = Frames.around(places, {})
    chain = [(box, box + 1) for box in range(4)]
    flat = convex(frames, chain)
    assert [cluster.tooltip for cluster in flat.clusters] == ["list.0", "list.1"]
    assert [cluster.label for cluster in flat.clusters] == ["list.0", "list.1"]
    first, second = (cluster.id for cluster in flat.clusters)
    assert flat.members == (first, first, None, second, second)
    beside = convex(frames, [(0, 1), (1, 3), (3, 4)])
    assert [cluster.label for cluster in beside.clusters] == ["list", "0", "1"]
