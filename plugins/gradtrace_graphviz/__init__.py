"""Draws figures with Graphviz, as SVG, PDF, PNG, TikZ or DOT.

The renderer is found through the entry point group `gradtrace.renderers`. `to_pydot` hands a
figure to tools that work on pydot graphs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradtrace.errors import require_choice
from gradtrace.render import Figure
from gradtrace_graphviz.digraph import to_digraph
from gradtrace_graphviz.dot import to_dot
from gradtrace_graphviz.drawing import drawing
from gradtrace_graphviz.interchange import to_pydot
from gradtrace_graphviz.pdf import to_pdf, to_png
from gradtrace_graphviz.svg import to_svg
from gradtrace_graphviz.tikz import to_tikz

if TYPE_CHECKING:
    import graphviz

__all__ = ["GraphvizRenderer", "to_dot", "to_pydot"]

WRITERS = {"pdf": to_pdf, "png": to_png, "svg": to_svg, "tex": to_tikz, "tikz": to_tikz}


class GraphvizRenderer:
    """Renders a figure through Graphviz.

    >>> renderer = GraphvizRenderer()
    >>> renderer.render(Figure((), (), ()), "dot").decode().splitlines()[0]
    'digraph gradtrace {'
    """

    name = "graphviz"
    formats: tuple[str, ...] = ("dot", *WRITERS)

    def render(self, figure: Figure, format: str) -> bytes:
        """Draw `figure`. Raises `RenderError` where the layout fails or takes too long."""
        require_choice("format", format, self.formats)
        if format == "dot":
            return to_dot(figure).encode()
        return WRITERS[format](drawing(figure))

    def digraph(self, figure: Figure, name: str) -> graphviz.Digraph:
        """Return `figure` as a `graphviz.Digraph` called `name`."""
        return to_digraph(to_dot(figure), name)
