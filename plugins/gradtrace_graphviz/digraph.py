"""DOT text as a `graphviz.Digraph`, which users of other tools go on to change and render."""

from __future__ import annotations

import shutil
from os import PathLike
from pathlib import Path
from typing import Any

import graphviz

from gradtrace_graphviz.layout import lay_out

__all__ = ["Digraph", "to_digraph"]


class Digraph(graphviz.Digraph):  # type: ignore[misc]
    """A `graphviz.Digraph` that is drawn without a program `dot`, too.

    Where there is none, the library in pygraphviz lays it out.
    """

    def pipe(
        self, format: str | None = None, *, encoding: str | None = None, **kwargs: Any
    ) -> bytes | str:
        """Return the drawing; as text where an `encoding` is given."""
        if shutil.which("dot"):
            drawn: bytes | str = super().pipe(format=format, encoding=encoding, **kwargs)
            return drawn
        drawing = lay_out(self.source, format or self.format)
        return drawing.decode(encoding) if encoding else drawing

    def render(
        self,
        filename: str | PathLike[str] | None = None,
        directory: str | PathLike[str] | None = None,
        view: bool = False,
        cleanup: bool = False,
        format: str | None = None,
        *,
        outfile: str | PathLike[str] | None = None,
        **kwargs: Any,
    ) -> str:
        """Save the source and its drawing, and return the path of the drawing."""
        if shutil.which("dot"):
            path: str = super().render(
                filename=filename, directory=directory, view=view, cleanup=cleanup, format=format,
                outfile=outfile, **kwargs,
            )  # fmt: skip
            return path
        ending = Path(outfile).suffix.removeprefix(".") if outfile and not format else format
        if outfile and not filename:
            filename = Path(outfile).with_suffix(".gv")
        source = Path(self.save(filename=filename, directory=directory))
        target = Path(outfile or f"{source}.{ending or self.format}")
        target.write_bytes(bytes(self.pipe(ending)))  # type: ignore[arg-type]
        if cleanup:
            source.unlink()
        if view:
            graphviz.view(target)
        return str(target)


def to_digraph(source: str, name: str) -> Digraph:
    r"""Return the graph that `source` describes, called `name`.

    >>> graph = to_digraph("digraph gradtrace {\n\ta -> b\n}\n", "model")
    >>> graph.body
    ['\ta -> b\n']
    """
    lines = source.splitlines(keepends=True)
    return Digraph(name, body=lines[1:-1])
