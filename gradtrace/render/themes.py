"""The themes of figures: those that come with gradtrace, and those of plugins."""

from __future__ import annotations

from gradtrace.backends import plugins
from gradtrace.errors import OptionError
from gradtrace.render.parts import Look, Theme

__all__ = ["ROLES", "THEMES", "find_theme", "look"]

GROUP = "gradtrace.themes"

ROLES = {
    "input": ("rectangle", "input"),
    "parameter": ("rectangle", "parameter"),
    "buffer": ("rectangle", "buffer"),
    "constant": ("rectangle", "constant"),
    "call": ("rounded", "call"),
    "item": ("rounded", "part of a result"),
    "fold": ("rounded", "folded calls"),
    "output": ("double", "output (loss)"),
    "elided": ("dashed", "not drawn"),
}
"""Shape and meaning of each role, in the order in which a legend lists them."""

OKABE_ITO = {
    "input": ("#1F7DB5", "#E3F2FC"),
    "parameter": ("#00825F", "#E8F6F1"),
    "buffer": ("#A8457C", "#F6DFEC"),
    "constant": ("#8A8F98", "#F5F6F7"),
    "call": ("#3F4854", "#FFFFFF"),
    "item": ("#858D99", "#FFFFFF"),
    "fold": ("#005A8E", "#E6F0F8"),
    "output": ("#C65200", "#FDF1E8"),
    "elided": ("#868E99", "#FFFFFF"),
}
"""After the colours of Okabe and Ito, each as dark as a thin line on white needs."""

GREYS = {
    "input": ("#5A5A5A", "#FFFFFF"),
    "parameter": ("#000000", "#DADADA"),
    "buffer": ("#303030", "#F2F2F2"),
    "constant": ("#8C8C8C", "#FFFFFF"),
    "call": ("#303030", "#FFFFFF"),
    "item": ("#8C8C8C", "#FFFFFF"),
    "fold": ("#000000", "#E6E6E6"),
    "output": ("#000000", "#FFFFFF"),
    "elided": ("#8C8C8C", "#FFFFFF"),
}

NIGHT = {
    "input": ("#56B4E9", "#12303F"),
    "parameter": ("#00B884", "#0D3329"),
    "buffer": ("#DE8FBF", "#3A2032"),
    "constant": ("#7F8894", "#22272E"),
    "call": ("#C7CED6", "#1B2027"),
    "item": ("#7F8894", "#1B2027"),
    "fold": ("#6FA8DC", "#152C44"),
    "output": ("#FF9A4D", "#3B2413"),
    "elided": ("#7F8894", "#1B2027"),
}

THEMES = {
    theme.name: theme
    for theme in (
        Theme("paper", roles=OKABE_ITO),
        Theme(
            "grayscale",
            ink="#000000",
            grey="#4D4D4D",
            faint="#8C8C8C",
            alarm="#000000",
            accent="#000000",
            frame="#A6A6A6",
            frames=("#F7F7F7", "#EDEDED"),
            roles=GREYS,
            magnitudes=("#909090", "#6B6B6B", "#484848", "#242424", "#000000"),
            signs=("#000000", "#6F6F6F", "#B4B4B4", "#DFDFDF", "#FFFFFF"),
        ),
        Theme(
            "slides",
            roles=OKABE_ITO,
            widths=(1.4, 5.0),
            sizes={"name": 15.0, "number": 13.0, "detail": 12.0, "title": 20.0},
        ),
        Theme(
            "dark",
            ink="#F2F5F8",
            grey="#B4BDC8",
            faint="#7F8894",
            alarm="#FF9A4D",
            accent="#FF7AB2",
            ground="#14181F",
            frame="#4A5462",
            frames=("#1A2028", "#222A34"),
            roles=NIGHT,
            magnitudes=("#6C7280", "#8D8F83", "#B3A96F", "#D9C653", "#FDE737"),
            signs=("#F1A340", "#8C5A1E", "#20262E", "#6E62A6", "#B9AEE8"),
        ),
    )
}
"""The themes that come with gradtrace, by name. Magnitudes are after cividis, signs after PuOr."""


def find_theme(theme: str | Theme) -> Theme:
    """Return the theme called so, of those here and of plugins; a `Theme` is returned as it is.

    A plugin declares, as an entry point in the group `gradtrace.themes`, a function that returns
    a `Theme`. Raises `OptionError` for a name that no theme has.

    >>> find_theme("dark").ground
    '#14181F'
    """
    if isinstance(theme, Theme):
        return theme
    if isinstance(theme, str) and theme in THEMES:
        return THEMES[theme]
    found = plugins(GROUP)
    others = {p.name: p.loaded for p in found if isinstance(p.loaded, Theme)}
    if theme in others:
        return others[theme]
    names = ", ".join(map(repr, [*THEMES, *others]))
    faults = "".join(
        f"; {p.name} of {p.origin} is broken ({_fault(p.loaded, p.error)})"
        for p in found
        if p.name not in others
    )
    raise OptionError(
        f"theme={theme!r} is not an option; use one of {names}, or a gradtrace.render.Theme{faults}"
    )


def _fault(loaded: object, error: str | None) -> str:
    return error or f"it returns no Theme, but {type(loaded).__name__}"


def look(theme: Theme, role: str) -> Look:
    """Return the look that a role has in a theme.

    >>> look(THEMES["paper"], "parameter").shape
    'rectangle'
    """
    shape, meaning = ROLES[role]
    line, fill = theme.roles.get(role) or theme.roles.get("call") or (theme.ink, theme.ground)
    return Look(role, shape, line, fill, meaning)
