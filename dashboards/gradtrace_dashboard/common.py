"""What all pages share: the run in the sidebar, the theme, the files one takes away."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from gradtrace.errors import GradtraceError
from gradtrace_dashboard import address, data, pieces
from gradtrace_dashboard.charts.heat import Heat, payload
from gradtrace_dashboard.charts.theme import DARK, LIGHT, Theme
from gradtrace_dashboard.words import counted

__all__ = [
    "BEAT",
    "chart",
    "csv_of",
    "follow",
    "heatmap",
    "nothing_yet",
    "plain",
    "run",
    "state",
    "take_away",
    "theme",
]

BEAT = 1.0
"""Seconds between two looks at a run that trains."""

FILES = "files"
"""How the keys of what gives files away begin, by which the style sheet knows them."""

MIMES = {"SVG": "image/svg+xml", "CSV": "text/csv"}

GIVEN = 10.0
"""Seconds for which a file that was asked for is at hand."""

STATES = {
    "training": ":material/play_circle: training",
    "finished": ":material/check_circle: finished",
    "stopped": ":material/stop_circle: stopped",
    "broken": ":material/error: broken",
}


def theme() -> Theme:
    """Return the colours of the mode that the reader chose."""
    try:
        return DARK if st.context.theme.type == "dark" else LIGHT
    except AttributeError:
        return LIGHT


def state(name: str) -> str:
    """Return the state of a run with its sign, so that no colour is needed to tell it."""
    return STATES.get(name, name)


def run() -> data.Run:
    """Return the run that is chosen in the sidebar; end the page with a hint if there is none."""
    known = data.runs(data.root(), brief=True)
    by_name = {each.name: each for each in known if each.error is None}
    errors = {each.name: each.error for each in known if each.error is not None}
    if not by_name:
        for error in errors.values():
            st.error(plain(error))
        nothing_yet(data.root())
        st.stop()
    wanted = address.read("run")
    missing = wanted != "" and wanted not in by_name
    if missing:
        why = errors.get(wanted, f"There is no run {wanted!r} any more")
        st.error(plain(f"{why.rstrip('.')}. Another run is shown."))
    chosen = address.pick(
        "Run",
        list(by_name),
        name="run",
        default=next(iter(by_name)),
        pinned=True,
        within=st.sidebar,
    )
    if missing:
        address.put(run=wanted)  # so that what is wrong is said until another one is chosen
    found = by_name[chosen]
    st.sidebar.caption(f"{state(found.state)} · {counted(len(data.steps(found.path)), 'step')}")
    return found


def nothing_yet(root: Path) -> None:
    """Say how a first run is made."""
    st.subheader("There is no run yet")
    st.write("This page looks for runs in the folder")
    st.code(str(root), language=None)
    st.write("It fills by itself as soon as a training records there:")
    st.code(
        "import gradtrace\n\n"
        f'with gradtrace.record(model, "{root.as_posix()}/first") as recorder:\n'
        "    for x, y in loader:\n"
        "        loss = loss_fn(model(x), y)\n"
        "        loss.backward()\n"
        "        optimizer.step()\n"
        "        optimizer.zero_grad()\n"
        "        recorder.step(loss=loss)",
        language="python",
    )


def follow(part: Callable[[], None], *, live: bool, beat: float = BEAT) -> None:
    """Show a part of the page, again and again while the run trains; say so when it is gone."""

    def look() -> None:
        try:
            part()
        except (GradtraceError, OSError) as error:
            st.error(plain(str(error)))

    st.fragment(look, run_every=beat if live else None)()


def chart(
    svg: str,
    *,
    key: str,
    name: str,
    read: dict[str, Any] | None = None,
    rows: Callable[[], Iterable[Sequence[object]]] | None = None,
) -> None:
    """Show a drawing, with its files to take away."""
    pieces.drawing(svg, key=key, read=read)
    take_away(key=key, name=name, svg=lambda: svg, rows=rows)


def heatmap(found: Heat, *, title: str, key: str, **more: Any) -> dict[str, Any] | None:
    """Show a heat map in the colours of the theme; return the cell that was just chosen."""
    colours = theme()
    names = ("ink", "grey", "paper", "mark", "other")
    usual = {"step": None, "other": None, "node": None, "low_first": False}
    inks = {name: getattr(colours, name) for name in names}
    return pieces.heatmap(payload(found, title=title, inks=inks, **usual | more), key=key)


def take_away(
    *,
    key: str,
    name: str,
    svg: Callable[[], str] | None = None,
    rows: Callable[[], Iterable[Sequence[object]]] | None = None,
) -> None:
    """Offer a figure as SVG and its numbers as CSV, made only when they are asked for."""
    table = None if rows is None else lambda: csv_of(rows())
    makers = {kind: make for kind, make in (("SVG", svg), ("CSV", table)) if make is not None}
    key = f"{FILES} {key}"
    kept = f"{key} kept"

    def make() -> None:
        asked = st.session_state[key]["asked"]
        kind = asked["kind"]
        file = {"name": f"{name}.{kind.lower()}", "mime": MIMES[kind], "text": makers[kind]()}
        st.session_state[kept] = time.monotonic(), {**file, "at": asked["at"]}

    made, file = st.session_state.get(kept, (0.0, None))
    fresh = time.monotonic() - made < GIVEN
    pieces.files({"kinds": list(makers), "file": file if fresh else None}, key=key, make=make)


def csv_of(rows: Iterable[Sequence[object]]) -> str:
    r"""Return rows as CSV.

    >>> csv_of([("step", "fc1"), (0, 0.5)])
    'step,fc1\r\n0,0.5\r\n'
    """
    buffer = io.StringIO()
    csv.writer(buffer).writerows(rows)
    return buffer.getvalue()


def plain(message: str) -> str:
    r"""Return a message of which nothing is read as Markdown but what stands in backticks.

    >>> print(plain("a_b of `c_d`"))
    a\_b of `c_d`
    """
    parts = message.split("`")
    if len(parts) % 2 == 0:
        return _escaped(message)
    return "`".join(part if odd % 2 else _escaped(part) for odd, part in enumerate(parts))


def _escaped(text: str) -> str:
    return "".join(f"\\{each}" if each in r"\`*_{}[]<>()#+-.!|$~:" else each for each in text)
