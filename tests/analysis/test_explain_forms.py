"""The forms of an explanation: LaTeX that compiles, Markdown, folded text, the command line."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

import gradtrace
import gradtrace_numpy as gn
from gradtrace.analysis.explain.constants import RULES, constant
from gradtrace.analysis.explain.fold import Fold, folded
from gradtrace.analysis.explain.tex import SIGNS, words
from gradtrace.cli import app
from gradtrace.formulas import ROWS, formula
from gradtrace.graph import Graph
from gradtrace.summary import Summary
from tests.analysis.explained import residual, scalars

DOCUMENT = r"""\documentclass{article}
\usepackage[paperwidth=60cm,paperheight=80cm,margin=1cm]{geometry}
\usepackage{amsmath}
\allowdisplaybreaks
\begin{document}
%s
\end{document}
"""

needs_tex = pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")


def compile_latex(folder: Path, body: str) -> None:
    (folder / "document.tex").write_text(DOCUMENT % body)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "document.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert (folder / "document.pdf").read_bytes().startswith(b"%PDF")


def oddly_named() -> Graph:
    """A run whose names hold what LaTeX takes for commands."""
    model = nn.ModuleDict({"a_b%$#&^~{}\\é": nn.Linear(2, 2)}).double()
    with gradtrace.trace(model) as graph:
        next(iter(model.values()))(torch.ones(1, 2).double()).tanh().sum().backward()
    return graph


@needs_tex
def test_latex_compiles(tmp_path: Path) -> None:
    graph, _ = residual(keep="all", derivatives="exact")
    odd = oddly_named()
    explanations = [
        *(scalars().explain(node) for node in ("w1", "b2", "x", "pow")),
        graph.explain("0.weight", top=2),
        graph.explain("1.inner.bias", "1.add"),
        residual(3)[0].explain("0.weight", top=1),
        odd.explain(next(node for node in odd if node.endswith("weight"))),
    ]

    compile_latex(tmp_path, "\n\n".join(str(each.to("latex")) for each in explanations))


@needs_tex
def test_latex_that_is_wrong_does_not_compile(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="! "):
        compile_latex(tmp_path, str(scalars().explain("w1", form="latex")).replace("w_{1}", "w_{1"))


@needs_tex
def test_every_formula_compiles(tmp_path: Path) -> None:
    from sympy import latex

    lines = []
    for row in ROWS:
        for names in row.operands.values():
            found = formula(row.ops[0], min(names))
            if found is not None:
                lines.append(f"\\[ {found if isinstance(found, str) else latex(found)} \\]")
    assert len(lines) > 300

    compile_latex(tmp_path, "\n".join(lines))


def test_latex_of_the_board() -> None:
    lines = str(scalars().explain("w1", form="latex")).splitlines()

    assert lines[0] == r"\begin{align*}"
    assert lines[2].startswith(r"&= 2\left(y - t\right) \cdot w_{2} \cdot \sigma'\left(z\right)")
    assert lines[3] == r"&= 0.743 \cdot (-1.2) \cdot 0.236 \cdot 0.5 \\"
    assert lines[4] == "&= -0.105"


def test_markdown_holds_equations_and_tables() -> None:
    graph, _ = residual(keep="all", derivatives="exact")
    text = str(graph.explain("0.weight", form="markdown", top=2))

    assert text.startswith("**∂L/∂W₁, from mse\\_loss back to 0.weight: norm ")
    assert text.count("$$") == 2
    assert "| factor | makes of δ | sizes | structure | norm | gain | share |" in text
    assert "The rest: " in text
    tables = [block for block in text.split("\n\n") if block.startswith("|")]
    for table in tables:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1


def test_words_have_no_character_that_tex_cannot_write() -> None:
    every = "".join(row.where + row.reference for row in ROWS)
    unknown = {c for c in every if not c.isascii() and c not in SIGNS}

    assert words("50 % of a_b") == r"\text{50 \% of a\_b}"
    assert "é" in words("é") or words("é") == r"\text{?}"
    assert not {c for row in ROWS for c in row.where if c in unknown}


def test_a_long_path_is_folded_by_scope() -> None:
    graph, _ = residual(blocks=5, keep="all", derivatives="exact")
    explanation = graph.explain("0.weight", top=40)
    longest = max(explanation.paths, key=lambda path: len(path.factors))
    parts = folded(longest.factors, explanation.legend)
    folds = [part for part in parts if isinstance(part, Fold)]

    assert len(longest.factors) == 18
    assert len(parts) <= 12
    assert sum(fold.calls for fold in folds) + len(parts) - len(folds) == len(longest.factors)
    first = folds[0]
    inside = [f for f in longest.factors if f.result.startswith(f"{first.scope}.")]
    assert first.gain == pytest.approx(np.prod([factor.gain for factor in inside]), rel=1e-9)
    assert f"… {first.calls} calls in {first.scope}" in str(explanation)


def test_a_long_path_without_scopes_loses_its_middle_only() -> None:
    x = torch.tensor(0.5, requires_grad=True)
    with gradtrace.trace() as graph:
        y = x
        for _ in range(30):
            y = y.sin()
        (y * torch.ones(2)).sum().backward()
    explanation = graph.explain("x")
    parts = folded(explanation.factors, explanation.legend)
    folds = [part for part in parts if isinstance(part, Fold)]

    assert len(parts) == 13
    assert [fold.calls for fold in folds] == [len(explanation.factors) - 12]


@pytest.mark.parametrize(("op", "name"), RULES)
def test_a_number_given_to_a_call_is_found(op: str, name: str) -> None:
    calls = {
        "mul": lambda x: x * 2.5,
        "div": lambda x: x / 2.5,
        "rdiv": lambda x: 2.5 / x,
        "rsub": lambda x: 2.5 - x,
        "add": lambda x: x + 2.5,
        "sub": lambda x: x - 2.5,
        "rpow": lambda x: 2.5**x,
        "pow": lambda x: x**2.5,
    }
    given_first = {
        "div": lambda x: 2.5 / x,
        "sub": lambda x: 2.5 - x,
        "pow": lambda x: 2.5**x,
    }
    x = np.array([0.3, 1.7, 4.0])
    call = given_first.get(op, calls[op]) if name == "x" else calls[op]
    before, after = Summary.of(x, keep=True), Summary.of(call(x), keep=True)

    assert constant(op, name, before, after) == 2.5
    assert constant(op, name, before, Summary.of(np.array([0.1, 9.0, 2.0]), keep=True)) is None


@pytest.mark.parametrize(
    ("result", "op", "name", "expected"),
    [
        (np.array([9.0, 4.0, 1.0]), "pow", "p", 2),
        (np.array([27.0, -8.0, 1.0]), "pow", "p", None),  # summaries do not tell a cube
        (np.array([-1.5, 1.0, -0.5]), "mul", "y", -0.5),
        (np.array([-6.0, 4.0, -2.0]), "div", "y", -0.5),
        (np.array([3.0, -1.0, 7.0]), "mul", "y", None),
    ],
)
def test_what_summaries_tell_of_a_number(
    result: np.ndarray, op: str, name: str, expected: float | None
) -> None:
    before = Summary.of(np.array([3.0, -2.0, 1.0]))

    assert constant(op, name, before, Summary.of(result)) == expected


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda w: 2.5 / w, "−2.5/w²"),
        (lambda w: 2.5 * w, "2.5"),
        (lambda w: np.power(2.5, w), "2.5^w ln(2.5)"),
    ],
)
def test_a_number_given_before_an_operand_stands_in_the_formula(call: Any, expected: str) -> None:
    w = gn.parameter(0.83)
    with gradtrace.trace({"w": w}) as graph:
        (call(w) ** 2).backward()
    assert expected in [str(factor.formula) for factor in graph.explain("w").factors]


def test_symbols_are_unique_and_stand_in_the_legend() -> None:
    graph, _ = residual(blocks=4, keep="all", derivatives="exact")
    explanation = graph.explain("0.weight", top=3)
    symbols = [str(meaning.symbol) for meaning in explanation.legend]
    used = {
        name
        for path in explanation.paths
        for factor in path.factors
        for name in re.findall(r"∂(\w+)", str(factor.name))
    }

    assert len(symbols) == len(set(symbols))
    assert used <= set(symbols)
    assert {meaning.node for meaning in explanation.legend} <= set(graph)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return residual(keep="all", derivatives="exact")[0].save(tmp_path / "step.gradtrace")


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["explain", *map(str, arguments)], env={"COLUMNS": "200"})
    return result.exit_code, result.stdout, result.stderr


def test_the_command_prints_the_explanation(saved: Path) -> None:
    graph = gradtrace.load(saved)

    assert run(saved, "0.weight") == (0, f"{graph.explain('0.weight')}\n", "")
    expected = graph.explain("0.weight", "1.add", top=1, form="latex")
    options = ("--output", "1.add", "--top", 1, "--form", "latex")
    assert run(saved, "0.weight", *options) == (0, f"{expected}\n", "")


def test_the_command_prints_json(saved: Path) -> None:
    code, output, _ = run(saved, "0.weight", "--json", "--top", 1)
    facts = json.loads(output, parse_constant=pytest.fail)

    assert code == 0
    assert facts["count"] == 4
    assert facts["rest"]["count"] == 3
    assert facts["paths"][0]["nodes"][-1] == "0.weight"


def test_the_command_suggests_names(saved: Path) -> None:
    code, output, error = run(saved, "0.wieght")

    assert (code, output) == (2, "")
    assert "target='0.wieght' is no node of the graph; did you mean '0.weight'" in error


def test_the_command_has_help_with_an_example() -> None:
    code, output, _ = run("--help")

    assert code == 0
    assert "Example: gradtrace explain step.gradtrace fc1.weight" in output
