"""What a notebook shows of a graph: in a kernel of its own, light or dark, with Graphviz or not."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

import pytest

from gradtrace.graph import Graph
from gradtrace.render import FRAMED, draw, mimebundle
from tests.render import examples
from tests.render.conftest import Installed
from tests.render.names import HOSTILE


def test_it_is_svg_on_a_ground_of_its_own(graphviz_only: Installed) -> None:
    shown = mimebundle(examples.scalars())
    assert list(shown) == ["image/svg+xml", "text/plain"]
    assert "<svg" in shown["image/svg+xml"]
    assert "#ffffff" in shown["image/svg+xml"].lower()
    assert shown["text/plain"] == str(examples.scalars())


def test_without_graphviz_it_is_the_interactive_page(installed: Installed) -> None:
    graph = examples.hostile(HOSTILE)
    shown = mimebundle(graph)
    assert list(shown) == ["text/html", "text/plain"]
    start, page = shown["text/html"].removesuffix('"></iframe>').split(' srcdoc="')
    assert start.startswith('<iframe sandbox="allow-scripts"')
    assert '"' not in page
    assert html.unescape(page) == draw(graph, None, format="html")


def test_a_large_graph_without_graphviz_is_text(installed: Installed) -> None:
    assert list(mimebundle(examples.chain(FRAMED))) == ["text/plain"]


def test_a_graph_that_is_not_complete_says_so() -> None:
    shown = Graph.pending()._repr_mimebundle_()
    assert shown == {"text/plain": "<gradtrace.Graph, complete when its trace block ends>"}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_kernel_shows_it(tmp_path: Path) -> None:
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed")
    import nbformat

    source = "from tests.render import examples\nexamples.mlp()"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    root = str(Path(__file__).parents[2])
    client: Any = nbclient.NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": root}}
    )
    client.execute()
    [output] = notebook.cells[0].outputs
    assert output["output_type"] == "execute_result"
    assert output["data"]["text/plain"] == str(examples.mlp())
    assert "cross_entropy" in output["data"]["image/svg+xml"]
