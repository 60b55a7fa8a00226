"""What is chosen of a figure: what it shows, of which part, and what is pointed out."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from gradtrace.errors import OptionError
from gradtrace.render import THEMES, figure
from gradtrace.render.parts import Figure
from tests.render import examples


def captions(drawn: Figure) -> set[str]:
    return {row.caption.strip("‖") for node in drawn.nodes for row in node.rows if row.caption}


def nodes(drawn: Figure) -> list[str | None]:
    return [node.node for node in drawn.nodes]


def labels(drawn: Figure) -> set[str]:
    return {edge.label for edge in drawn.edges if edge.label}


def test_only_what_is_asked_for_is_shown() -> None:
    graph = examples.mlp()
    assert captions(figure(graph, show="values")) == {"value"}
    assert captions(figure(graph, show=["upstream gradients"])) == {"upstream"}
    assert labels(figure(graph, show=["gains"])) >= {"×0.758"}
    assert "diagonal" in labels(figure(graph, show=["local_derivatives"]))
    assert "16 × 64" not in [r.text for n in figure(graph, show=()).nodes for r in n.rows]
    assert "fc1.weight" not in nodes(figure(graph, show=["values"]))
    assert "fc1.weight" in nodes(figure(graph, show=["parameters"]))


def test_one_pass_alone() -> None:
    graph = examples.mlp()
    forward, backward = figure(graph, passes="forward"), figure(graph, passes="backward")
    assert captions(forward) == {"value"}
    assert len({(edge.colour, edge.width) for edge in forward.edges}) == 1
    assert captions(backward) == {"upstream"}
    assert {edge.kind for edge in backward.edges} == {"gradient"}
    turned = [(edge.head, edge.tail) for edge in backward.edges]
    assert turned == [(edge.tail, edge.head) for edge in forward.edges]


def test_a_node_is_pointed_out_with_what_was_computed_of_it() -> None:
    drawn = figure(examples.mlp(), highlight="fc2.weight")
    lit = [node.node for node in drawn.nodes if node.emphasis == "highlighted"]
    assert lit == ["fc2.weight", "fc2.linear", "cross_entropy"]
    assert {node.emphasis for node in drawn.nodes} == {"highlighted", "faded"}


def test_a_path_is_pointed_out() -> None:
    drawn = figure(examples.mlp(), highlight=["relu", "fc1.linear", "fc1.weight"])
    ids = {node.id: node.node for node in drawn.nodes}
    lit = {(ids[e.tail], ids[e.head]) for e in drawn.edges if e.emphasis == "highlighted"}
    assert lit == {("fc1.weight", "fc1.linear"), ("fc1.linear", "relu")}


def test_the_focus_is_a_scope_or_a_neighbourhood() -> None:
    graph = examples.residual(6)
    scope = figure(graph, focus="encoder.2")
    assert "encoder.2.act.relu" in nodes(scope)
    assert "encoder.1.add" in nodes(scope)
    assert "encoder.4.add" not in nodes(scope)
    near = figure(graph, focus="head.linear")
    assert {"encoder.5.add", "cross_entropy", "head.weight"} <= set(nodes(near))
    assert "encoder.2.add" not in nodes(near)


def test_small_tensors_are_images_of_their_elements() -> None:
    pencil = examples.Pencil()
    array = np.array([[-2.0, 0.0, 2.0], [1.0, np.nan, -1.0]])
    x = pencil.leaf("input", "x", array)
    tape_value = pencil.tape.steps[0].value  # type: ignore[union-attr]
    tape_value.summary = type(tape_value.summary).of(array, keep=True)
    pencil.call("any", True, (x, "", None))
    (grid,) = figure(pencil.graph(), show=["grids"]).nodes[0].grids
    theme = THEMES["paper"]
    assert grid.cells[0] == (theme.signs[0], theme.signs[2], theme.signs[-1])
    assert grid.cells[1][1] == theme.alarm
    assert grid.tooltip == "value, 2 × 3, from -2 to 2"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"show": "weights"}, "show='weights' is not an option; use any of 'values', 'shapes'"),
        ({"width": "page"}, "width='page' is not an option; use 'column' \\(3.25 inches\\)"),
        ({"width": 0}, "width=0 is not an option"),
        ({"passes": "up"}, "passes='up' is not an option; use one of 'overlaid', 'forward'"),
        ({"focus": "nowhere"}, "focus='nowhere' is neither a scope nor a node of the graph"),
        ({"highlight": "nobody"}, "highlight='nobody' is not a node of the graph; use one of"),
        ({"fold_repeats": 3}, "fold_repeats=3 is not an option; use one of True, False, None"),
        ({"math": "yes"}, "math='yes' is not an option; use one of True, False"),
        ({"theme": "pink"}, "theme='pink' is not an option; use one of 'paper', 'grayscale'"),
    ],
)
def test_a_wrong_choice_lists_the_right_ones(options: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        figure(examples.mlp(), **options)  # type: ignore[arg-type]


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="needs pdflatex")
def test_pdftex_includes_a_figure(tmp_path: Path) -> None:
    examples.mlp().render(tmp_path / "figure.pdf", width="column", math=True)
    source = r"""\documentclass[twocolumn]{article}\usepackage{graphicx}
        \begin{document}\includegraphics{figure.pdf}\end{document}"""
    (tmp_path / "paper.tex").write_text(source)
    command = ["pdflatex", "-interaction=batchmode", "-halt-on-error", "paper.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0
    log = (tmp_path / "paper.log").read_text(errors="replace")
    assert "figure.pdf" in log
    assert "inclusion" not in log  # pdfTeX warns so of a PDF that it is too old for


def test_a_page_of_a_forward_pass_says_that_no_backward_pass_ran() -> None:
    drawn = figure(examples.chain(2), width="column")
    assert drawn.note == "No backward pass ran."
    assert not [row for node in drawn.nodes for row in node.rows if row.caption == "upstream"]
    assert figure(examples.chain(2), width="column", show=["upstream_gradients"]).nodes[-1].rows[-1]
    assert figure(examples.mlp(), width="text").note is None
