"""The page of the graph: the traced step nearest to the chosen one, down to its edges."""

from __future__ import annotations

import streamlit as st

from gradtrace.errors import GradtraceError
from gradtrace_dashboard import address, common, data, graphs

__all__ = ["show"]


def show() -> None:
    """Show the page."""
    run = common.run()
    st.title("Graph")
    snapshots = data.recorded(run.path).snapshots
    if not snapshots:
        st.info("No step of this run was traced whole; `snapshots_every=` of record() does that.")
        return
    steps = sorted(snapshots)
    first, *others = st.columns([3, 1.2, 1.2], vertical_alignment="bottom")
    with first:
        step = address.number("Traced step", steps, name="step", default=steps[-1])
    try:
        graphs.explore(snapshots[step], name=f"{run.name}-{step}", within=others)
    except (GradtraceError, OSError) as error:
        st.error(common.plain(str(error)))
    if run.state == "training":
        common.follow(lambda: _watch(run, len(steps)), live=True, beat=2.0)


def _watch(run: data.Run, known: int) -> None:
    """Show the page anew as soon as another step was traced."""
    if len(data.recorded(run.path).snapshots) != known:
        st.rerun()


if __name__ == "__main__":
    show()
