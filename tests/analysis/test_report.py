"""How reports of analyses show themselves: in full in a notebook, as one line in a list."""

from __future__ import annotations

import pytest
from IPython.lib.pretty import pretty

import gradtrace
from tests.render.examples import mlp

graph = mlp()


@pytest.mark.parametrize(
    "report",
    [graph.check(), graph.diagnose(), graph.paths("fc1.weight"), gradtrace.diff(graph, graph)],
    ids=lambda report: type(report).__name__,
)
def test_a_report_is_shown_in_full_where_it_stands_alone(report: object) -> None:
    assert pretty(report) == str(report)
    assert repr(report).startswith(f"<gradtrace.{type(report).__name__}: ")
    assert "\n" not in repr(report)
