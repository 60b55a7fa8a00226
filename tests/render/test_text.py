"""The text of a graph, which golden files hold to the letter."""

from __future__ import annotations

import pytest

from gradtrace.render import text
from tests.render import examples
from tests.render.golden import assert_golden


@pytest.mark.parametrize("name", ["mlp", "oddities", "residual", "scalars"])
def test_text_is_golden(name: str) -> None:
    graph = getattr(examples, name)()
    assert_golden(f"{name}.txt", str(graph) + "\n")


def test_a_line_for_each_node_in_order() -> None:
    graph = examples.mlp()
    lines = text(graph).splitlines()[2:]
    assert [line.split()[1] for line in lines] == list(graph)


def test_a_line_stays_a_line_whatever_the_names() -> None:
    graph = examples.hostile(["a\nb", "\t", "‮x", '"<&>"', "n" * 200])
    lines = text(graph).splitlines()
    assert len(lines) == 2 + len(graph)
    assert "a\\nb" in lines[2]
    assert "n" * 200 in lines[6]


def test_a_graph_without_backward_pass_says_so() -> None:
    shown = text(examples.chain(2))
    assert "no backward pass ran" in shown.splitlines()[0]
    assert shown.splitlines()[-1].endswith("not computed  not computed")


def test_an_empty_graph_is_one_line() -> None:
    assert text(examples.Pencil().graph()) == (
        "graph of 0 nodes, 0 edges by hand; no backward pass ran"
    )


def test_many_operands_are_counted() -> None:
    pencil = examples.Pencil()
    leaves = [pencil.leaf("input", f"x{i}", 1.0, differentiable=False) for i in range(1_200)]
    pencil.call("stack", 1.0, *((leaf, "", None) for leaf in leaves))
    assert "x4, x5, … 1,194 more)" in text(pencil.graph())
