"""Renderers planted for the tests of figures."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

import gradtrace.backends


class Installed(list[EntryPoint]):
    """The renderers that a test installs."""

    def add(self, name: str, value: str) -> None:
        self.append(EntryPoint(name, value, "gradtrace.renderers"))


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Installed:
    """Replace what is installed by a list of entry points, at first empty."""
    points = Installed()
    declared = lambda group, path: [(point, "unknown") for point in points]  # noqa: E731
    monkeypatch.setattr(gradtrace.backends, "_declared", declared)
    return points


@pytest.fixture
def graphviz_only(installed: Installed) -> Installed:
    installed.add("graphviz", "gradtrace_graphviz:GraphvizRenderer")
    return installed
