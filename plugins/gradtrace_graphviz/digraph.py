"""DOT text as a `graphviz.Digraph`, which users of other tools go on to change and render."""

from __future__ import annotations

import graphviz

__all__ = ["to_digraph"]


def to_digraph(source: str, name: str) -> graphviz.Digraph:
    r"""Return the graph that `source` describes, called `name`.

    >>> graph = to_digraph("digraph gradtrace {\n\ta -> b\n}\n", "model")
    >>> graph.body
    ['\ta -> b\n']
    """
    lines = source.splitlines(keepends=True)
    return graphviz.Digraph(name, body=lines[1:-1])
