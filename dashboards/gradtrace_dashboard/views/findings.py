"""The page of findings: what the recorder and a diagnosis of the snapshots found, worst first."""

from __future__ import annotations

import streamlit as st

from gradtrace_dashboard import address, common, data, found

__all__ = ["show"]


def show() -> None:
    """Show the page."""
    run = common.run()
    st.title("Findings")
    first, second, third = st.columns([1, 2, 1.4], vertical_alignment="bottom")
    with first:
        severity = address.pick("Severity", ("all", "error", "warning", "note"), name="severity")
    with second:
        names = address.text("Filter", name="finding", placeholder="rule or node")
    with third:
        snapshots = address.switch("Diagnose the snapshots", name="diagnose")
    live = run.state == "training"
    common.follow(lambda: _body(run, severity, names, snapshots), live=live, beat=2.0)


def _body(run: data.Run, severity: str, names: str, snapshots: bool) -> None:
    entries = found.of_run(run.path) + (found.of_snapshots(run.path) if snapshots else [])
    wanted = [
        each
        for each in entries
        if severity in ("all", each.severity)
        and names.strip().lower() in f"{each.rule} {each.node or ''}".lower()
    ]
    if not entries:
        st.success("Nothing was found that looks wrong.")
        if not snapshots and data.recorded(run.path).snapshots:
            st.caption("The traced snapshots can be diagnosed, too: turn that on above.")
        return
    counts = {each: sum(e.severity == each for e in entries) for each in found.SIGNS}
    st.caption(" · ".join(f"{found.SIGNS[each]}: {count}" for each, count in counts.items()))
    found.table(wanted, run=run.name, key="findings")
    rows = [("severity", "rule", "node", "first step", "last step", "cause", "remedy")]
    rows += [
        (e.severity, e.rule, e.node or "", str(e.first), str(e.last), e.cause, e.remedy)
        for e in found.sorted_entries(wanted)
    ]
    common.take_away(key="findings files", name=f"{run.name}-findings", rows=lambda: rows)


if __name__ == "__main__":
    show()
