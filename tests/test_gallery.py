"""Whether the figures of the README are those that its script makes."""

from __future__ import annotations

import importlib.util
import re
from collections import Counter
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree as ET

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SHOWN = re.findall(r"\.github/figure-([\w-]+)\.svg", README)
SVG = "{http://www.w3.org/2000/svg}"

MOST = 60_000
"""Bytes of a figure."""


def gallery() -> ModuleType:
    spec = importlib.util.spec_from_file_location("gallery", ROOT / ".github" / "gallery.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GALLERY = gallery()


def structure(path: Path) -> tuple[Counter[str | None], Counter[str]]:
    """Return how many groups of each kind a figure has, and its words without their numbers."""
    root = ET.fromstring(path.read_text(encoding="utf-8"))
    words = (re.sub(r"-?\d[\d.e-]*", "#", text.text or "") for text in root.iter(f"{SVG}text"))
    return Counter(group.get("class") for group in root.iter(f"{SVG}g")), Counter(words)


def test_every_figure_is_shown() -> None:
    assert sorted(SHOWN) == sorted(GALLERY.FIGURES)


@pytest.mark.parametrize("name", GALLERY.FIGURES)
def test_a_figure_is_what_the_script_makes(name: str, tmp_path: Path) -> None:
    committed = ROOT / ".github" / f"figure-{name}.svg"
    assert structure(GALLERY.make(name, tmp_path)) == structure(committed)


@pytest.mark.parametrize("name", GALLERY.FIGURES)
def test_a_figure_can_stand_on_any_page(name: str) -> None:
    data = (ROOT / ".github" / f"figure-{name}.svg").read_text(encoding="utf-8")
    assert len(data.encode()) < MOST
    assert not re.search(r"<script|<image|href|https?://(?!www\.w3\.org/2000/svg)", data)
    assert '<rect width="100%" height="100%" fill="#' in data  # its own ground, light or dark
