"""What is chosen, kept in the address so that a view can be sent to a colleague.

A choice is read from the address first, else from what was chosen on another page before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

__all__ = ["go", "number", "pick", "picks", "put", "read", "segments", "switch", "text"]

MEMORY = "gradtrace choices"
"""Where in the session choices outlive a change of page, which empties the address."""


def read(name: str, default: str = "") -> str:
    """Return the choice `name`."""
    memory = st.session_state.setdefault(MEMORY, {})
    found = st.query_params.get(name, memory.get(name, default))
    return str(found)


def put(**choices: object) -> None:
    """Note choices in the address; None or an empty one takes it out."""
    memory = st.session_state.setdefault(MEMORY, {})
    for name, value in choices.items():
        if value is None or value == "":
            memory.pop(name, None)
            if name in st.query_params:
                del st.query_params[name]
        else:
            memory[name] = str(value)
            if st.query_params.get(name) != str(value):
                st.query_params[name] = str(value)


def go(page: str, **choices: object) -> None:
    """Open another page with these choices, keeping the run."""
    put(**choices)
    wanted = {"run": read("run"), **{name: str(value) for name, value in choices.items()}}
    given = {name: value for name, value in wanted.items() if value not in ("", "None")}
    st.switch_page(f"views/{page}.py", query_params=given)


def pick(
    label: str,
    options: Sequence[str],
    *,
    name: str,
    default: str | None = None,
    pinned: bool = False,
    **more: Any,
) -> str:
    """Let the reader choose one of `options`; a `pinned` default goes into the address, too."""
    fallback = default if default is not None and default in options else options[0]
    chosen = read(name, fallback)
    st.session_state[_key(name)] = chosen if chosen in options else fallback
    box = more.pop("within", st)
    box.selectbox(
        label,
        list(options),
        key=_key(name),
        on_change=_changed,
        args=(name,),
        **more,
    )
    return _settled(name, str(st.session_state[_key(name)]), "" if pinned else fallback)


def segments(label: str, options: Sequence[str], *, name: str, within: Any = st) -> str:
    """Let the reader choose one of a few `options`, all of which are seen at once."""
    chosen = read(name, options[0])
    st.session_state[_key(name)] = chosen if chosen in options else options[0]
    within.segmented_control(
        label, list(options), key=_key(name), required=True, on_change=_changed, args=(name,)
    )
    return _settled(name, str(st.session_state[_key(name)]), options[0])


def picks(label: str, options: Sequence[str], *, name: str, default: Sequence[str]) -> list[str]:
    """Let the reader choose several of `options`."""
    wanted = [each for each in read(name).split("|") if each in options]
    st.session_state[_key(name)] = wanted or list(default)
    st.multiselect(label, list(options), key=_key(name), on_change=_changed, args=(name,))
    chosen = list(st.session_state[_key(name)])
    put(**{name: "|".join(chosen)})
    return chosen


def text(label: str, *, name: str, **more: Any) -> str:
    """Let the reader type a text."""
    st.session_state[_key(name)] = read(name)
    box = more.pop("within", st)
    box.text_input(label, key=_key(name), on_change=_changed, args=(name,), **more)
    return _settled(name, str(st.session_state[_key(name)]), "")


def switch(label: str, *, name: str, **more: Any) -> bool:
    """Let the reader turn something on."""
    st.session_state[_key(name)] = read(name) == "yes"
    box = more.pop("within", st)
    box.toggle(label, key=_key(name), on_change=_changed, args=(name,), **more)
    on = bool(st.session_state[_key(name)])
    put(**{name: "yes" if on else None})
    return on


def number(label: str, options: Sequence[int], *, name: str, default: int) -> int:
    """Let the reader choose one of increasing numbers, the nearest one if it is not there."""
    try:
        wanted = int(read(name, str(default)))
    except ValueError:
        wanted = default
    nearest = min(options, key=lambda each: abs(each - wanted))
    if len(options) < 2:
        st.caption(f"{label} {nearest:,}")
        return nearest
    st.session_state[_key(name)] = nearest
    st.select_slider(label, options, key=_key(name), on_change=_changed, args=(name,))
    return int(st.session_state[_key(name)])


def _key(name: str) -> str:
    return f"choice {name}"


def _changed(name: str) -> None:
    value = st.session_state[_key(name)]
    if isinstance(value, bool):
        value = "yes" if value else None
    put(**{name: "|".join(value) if isinstance(value, list) else value})


def _settled(name: str, value: str, default: str) -> str:
    """Keep an address free of what is the default anyway."""
    put(**{name: value if value != default else None})
    return value
