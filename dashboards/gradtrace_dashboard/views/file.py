"""The page of a file: a saved graph dropped onto it, without a run."""

from __future__ import annotations

import atexit
import hashlib
import shutil
import tempfile
from functools import cache
from pathlib import Path

import streamlit as st

from gradtrace.errors import GradtraceError
from gradtrace_dashboard import common, data, found, graphs
from gradtrace_dashboard.words import counted

__all__ = ["show"]


def show() -> None:
    """Show the page."""
    st.title("Open a file")
    first, *others = st.columns([3, 1.2, 1.2])
    given = first.file_uploader("A graph that graph.save() wrote", key="graph file")
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
    size = f"{counted(len(graph), 'node')}, {counted(graph.number_of_edges(), 'edge')}"
    st.caption(common.plain(f"{given.name}: {size}"))
    graphs.explore(path, name=Path(given.name).stem, within=others)
    entries = found.of_graph(path)
    if entries:
        st.subheader("Diagnosis")
        found.table(entries, run=None, key="file findings")


def _kept(content: bytes) -> Path:
    """Keep a file while the dashboard runs; two that are the same are kept once."""
    path = _folder() / f"{hashlib.sha256(content).hexdigest()[:16]}.gradtrace"
    if not path.exists():
        path.write_bytes(content)
    return path


@cache
def _folder() -> Path:
    folder = tempfile.mkdtemp(prefix="gradtrace-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


if __name__ == "__main__":
    show()
