"""The page of a file: a saved graph dropped onto it, without a run."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

import streamlit as st

from gradtrace.errors import GradtraceError
from gradtrace_dashboard import common, data, found, graphs

__all__ = ["show"]


def show() -> None:
    """Show the page."""
    st.title("Open a file")
    given = st.file_uploader("A graph that graph.save() wrote", key="graph file")
    if given is None:
        st.caption("The file is read on this machine, and goes nowhere else.")
        return
    path = _kept(given.getvalue())
    try:
        graph = data.graph(path)
    except GradtraceError as error:
        message = str(error).replace(str(path), given.name)
        st.error(common.plain(message))
        return
    edges = graph.number_of_edges()
    st.caption(common.plain(f"{given.name}: {len(graph):,} nodes, {edges:,} edges"))
    graphs.explore(path, name=given.name)
    entries = found.of_graph(path)
    if entries:
        st.subheader("Diagnosis")
        found.table(entries, run=None, key="file findings")


def _kept(content: bytes) -> Path:
    """Keep a file in a folder of its own while the session lasts."""
    if "folder" not in st.session_state:
        st.session_state["folder"] = tempfile.TemporaryDirectory(prefix="gradtrace-")
    name = f"{hashlib.sha256(content).hexdigest()[:16]}.gradtrace"
    path = Path(st.session_state["folder"].name) / name
    if not path.exists():
        path.write_bytes(content)
    return path


if __name__ == "__main__":
    show()
