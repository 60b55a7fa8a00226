"""Themes that all readers can read: contrast and separability, measured."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, pairwise

import pytest

from gradtrace.errors import OptionError
from gradtrace.render import THEMES, Theme, figure
from gradtrace.render.palette import along
from gradtrace.render.themes import ROLES, find_theme
from tests.render import examples
from tests.render.colours import SIGHTS, contrast, difference
from tests.render.conftest import Installed

themes = pytest.mark.parametrize("theme", THEMES.values(), ids=THEMES)
sights = pytest.mark.parametrize("sight", SIGHTS)


def faults(theme: Theme, sight: str) -> list[str]:
    """Return what a reader cannot tell in a theme: text, lines, roles, magnitudes."""
    found = []
    grounds = {theme.ground, *theme.frames, *(fill for _, fill in theme.roles.values())}
    for name, colour, least in (
        ("ink", theme.ink, 7.0), ("grey", theme.grey, 4.5), ("alarm", theme.alarm, 4.5)
    ):  # fmt: skip
        found += [f"{name} on {g}" for g in grounds if contrast(colour, g) < least]
    lines = {role: line for role, (line, _) in theme.roles.items()}
    lines |= {"faint": theme.faint, "accent": theme.accent}
    lines |= {f"magnitude {i}": colour for i, colour in enumerate(theme.magnitudes)}
    found += [f"line {n}" for n, c in lines.items() if contrast(c, theme.ground) < 3.0]
    for one, other in combinations(theme.roles, 2):
        if ROLES[one][0] == ROLES[other][0] and not _differ(theme, one, other, sight):
            found.append(f"{one} like {other}")
    shades = [along(theme.magnitudes, place / 4) for place in range(5)]
    found += ["magnitudes" for a, b in pairwise(shades) if difference(a, b, sight) < 6]
    ends = theme.signs[0], theme.signs[len(theme.signs) // 2], theme.signs[-1]
    found += ["signs" for a, b in combinations(ends, 2) if difference(a, b, sight) < 20]
    return found


def _differ(theme: Theme, one: str, other: str, sight: str) -> bool:
    """Tell whether boxes of the same shape differ in outline or fill."""
    pairs = zip(theme.roles[one], theme.roles[other], strict=True)
    return max(difference(a, b, sight) for a, b in pairs) >= 10


@themes
@sights
def test_every_reader_can_tell_what_a_theme_shows(theme: Theme, sight: str) -> None:
    assert faults(theme, sight) == []


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"grey": "#B0B0B0"}, "grey on #FFFFFF"),
        ({"faint": "#D0D0D0"}, "line faint"),
        ({"magnitudes": ("#575D6D", "#575D6D")}, "magnitudes"),
        ({"signs": ("#B35806", "#F7F7F7", "#B35806")}, "signs"),
    ],
)
def test_a_theme_that_cannot_be_read_is_found(change: dict[str, str], fault: str) -> None:
    assert fault in faults(replace(THEMES["paper"], **change), "usual")


def test_roles_that_only_red_and_green_tell_apart_are_found() -> None:
    roles = dict(THEMES["paper"].roles)
    roles["input"], roles["parameter"] = ("#B03A2E", "#FFFFFF"), ("#6E6A1F", "#FFFFFF")
    theme = replace(THEMES["paper"], roles=roles)
    assert "input like parameter" not in faults(theme, "usual")
    assert "input like parameter" in faults(theme, "protanopia") + faults(theme, "deuteranopia")


def test_grayscale_is_grey() -> None:
    theme = THEMES["grayscale"]
    colours = [c for pair in theme.roles.values() for c in pair]
    colours += [*theme.magnitudes, *theme.signs, *theme.frames, theme.ink, theme.alarm]
    assert all(colour[1:3] == colour[3:5] == colour[5:7] for colour in colours)


@themes
def test_a_theme_looks_after_every_role(theme: Theme) -> None:
    assert set(theme.roles) == set(ROLES)


def test_a_theme_can_be_changed() -> None:
    theme = replace(THEMES["paper"], ink="#000000", name="mine")
    assert figure(examples.mlp(), theme=theme).theme.ink == "#000000"


def sepia() -> Theme:
    return replace(THEMES["paper"], name="sepia", ink="#3B2A1A")


def test_a_theme_can_be_added_by_a_plugin(installed: Installed) -> None:
    installed.add("sepia", "tests.render.test_themes:sepia")
    assert find_theme("sepia") == sepia()


def test_an_unknown_theme_lists_the_known_ones(installed: Installed) -> None:
    installed.add("sepia", "tests.render.test_themes:sepia")
    installed.add("torn", "tests.render.test_themes:nowhere")
    installed.add("text", "builtins:str")
    with pytest.raises(OptionError, match="theme='pink' is not an option") as raised:
        find_theme("pink")
    assert "'paper', 'grayscale', 'slides', 'dark', 'sepia'" in str(raised.value)
    assert "torn of unknown is broken (AttributeError" in str(raised.value)
    assert "text of unknown is broken (it returns no Theme, but str)" in str(raised.value)
