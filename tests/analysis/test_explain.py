"""What an explanation says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import gradtrace
from gradtrace.errors import OptionError
from gradtrace.facts import plain
from tests.analysis.explained import number, residual, scalars

BOARD = """\
∂L/∂w₁, from pow back to w1: −0.105

∂L/∂w₁ = ∂L/∂y · ∂y/∂h · ∂h/∂z · ∂z/∂w₁
       = 2(y − t) · w₂ · σ'(z) · x
       = 0.743 · (−1.2) · 0.236 · 0.5
       = −0.105

where
  w₁  w1       input    = 0.76
  x   x        input    = 0.5
  z   add      add      = 0.48    LINE
  h   sigmoid  sigmoid  = 0.618   LINE
  w₂  w2       input    = −1.2
  y   add_2    add      = −0.241  LINE
  t   t        input    = −0.613
  L   pow      pow      = 0.138   LINE

  σ'(z)  = e^(−z)/(1 + e^(−z))²"""


def test_the_board() -> None:
    for options in ({"keep": "all", "derivatives": "exact"}, {}):  # numbers are known either way
        found = str(scalars(**options).explain("w1"))
        lines = [
            line.replace(line.split()[-1], "LINE") if "explained.py" in line else line
            for line in found.splitlines()
        ]

        assert "\n".join(lines) == BOARD


def test_why_there_is_no_path() -> None:
    graph = scalars()
    assert "x has no gradient: it does not require one" in str(graph.explain("x"))
    assert graph.explain("x").count == 0
    assert "it is the output itself" in str(graph.explain("pow"))
    assert "no gradient comes back from mul to b1" in str(graph.explain("b1", "mul"))


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("weight1",), {}, "target='weight1' is no node of the graph"),
        (("sigmod",), {}, "did you mean 'sigmoid'?"),
        (("w1", "ad_2"), {}, "output='ad_2' is no node of the graph; did you mean 'add_2'"),
        (("w1",), {"form": "html"}, "form='html' is not an option; use one of 'text', 'markdown'"),
        (("w1",), {"top": 0}, "top=0 is not a number of paths; use an integer from 1"),
    ],
)
def test_bad_arguments(arguments: Any, options: Any, message: str) -> None:
    with pytest.raises(OptionError) as raised:
        scalars().explain(*arguments, **options)

    assert message in str(raised.value)


class Cube(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        return gradients[0] * 3 * ctx.saved_tensors[0] ** 2


def test_an_operation_without_a_row_gives_its_numbers() -> None:
    x = number(2.0, requires_grad=True)
    with gradtrace.trace(keep="all", derivatives="exact") as graph:
        Cube.apply(x).sin().backward()
    text = str(graph.explain("x"))

    assert "= cos(y) · (no formula)" in text
    assert "= (−0.146) · 12" in text


def test_a_formula_that_does_not_fit_the_call_is_not_shown() -> None:
    x, y = number(2.0, requires_grad=True), number(3.0, requires_grad=True)
    with gradtrace.trace(keep="all", derivatives="exact") as graph:
        torch.add(x, y, alpha=5).exp().backward()

    assert "(no formula)" in str(graph.explain("y"))
    assert "(no formula)" not in str(graph.explain("x"))


@pytest.mark.parametrize(
    ("call", "shown"),
    [
        (lambda x: nn.functional.gelu(x), True),
        (lambda x: nn.functional.gelu(x, approximate="tanh"), False),
        (lambda x: nn.functional.softplus(x), True),
        (lambda x: nn.functional.batch_norm(x, torch.zeros(4), torch.ones(4), training=True), True),
        (lambda x: nn.functional.batch_norm(x, torch.zeros(4), torch.ones(4)), False),
        (lambda x: nn.functional.relu(x.where(x > 0, torch.zeros(()))), True),  # at its kink
    ],
)
def test_only_a_formula_that_gives_the_recorded_derivative_is_shown(call: Any, shown: bool) -> None:
    torch.manual_seed(0)
    x = torch.randn(8, 4, requires_grad=True)
    with gradtrace.trace(keep="all", derivatives="exact") as graph:
        call(x).pow(3).sum().backward()

    assert ("(no formula)" not in str(graph.explain("x"))) == shown


@pytest.mark.parametrize(
    ("loss", "first"),
    [
        (nn.functional.mse_loss, "2(y − t)"),
        (nn.functional.l1_loss, "sign(y − t)"),
        (lambda y, t: (y - t).pow(2).mean(), "1 · 2(y − t)"),
        (lambda y, t: (t - y).square().sum(), "1 · 2d · (−1)"),
    ],
)
def test_losses_of_numbers(loss: Any, first: str) -> None:
    w, x, t = number(0.5, requires_grad=True), number(2.0), number(0.3)
    with gradtrace.trace(keep="all", derivatives="exact") as graph:
        loss(torch.tanh(w) * x, t).backward()
    explanation = graph.explain("w")

    assert f"= {first} · x · tanh'(w)\n" in str(explanation)
    product = np.prod([factor.value for factor in explanation.factors])
    assert product == pytest.approx(explanation.value.mean)


def test_an_astronomical_number_is_written_short() -> None:
    x = number(1.0, requires_grad=True)
    with gradtrace.trace() as graph:
        y = x
        for _ in range(100):
            y = y + y
        y.backward()

    assert "the sum over 1.3·10³⁰ paths" in str(graph.explain("x"))


def test_it_is_the_same_after_saving(tmp_path: Path) -> None:
    graph, _ = residual(keep="all", derivatives="exact")
    loaded = gradtrace.load(graph.save(tmp_path / "graph.gradtrace"))

    for form in ("text", "markdown", "latex"):
        assert str(loaded.explain("0.weight", form=form)) == str(
            graph.explain("0.weight", form=form)
        )


def test_it_is_data_for_programs() -> None:
    facts = json.loads(json.dumps(plain(scalars().explain("w1"))))

    assert facts["target"] == "w1"
    assert facts["paths"][0]["factors"][1]["value"] == -1.2
    assert facts["paths"][0]["factors"][1]["formula"]["text"] == "w₂"
    assert facts["paths"][0]["factors"][0]["passes"] == ["sub"]
    assert {row["symbol"]["text"]: row["node"] for row in facts["legend"]}["h"] == "sigmoid"
    assert facts["rest"] is None


def test_functions_and_methods_say_the_same() -> None:
    graph = scalars()
    explanation = gradtrace.explain(graph, "w1")

    assert isinstance(explanation, gradtrace.Explanation)
    assert str(explanation) == str(graph.explain("w1"))
    assert repr(explanation) == "<gradtrace.Explanation of ∂L/∂w₁ at 'w1': 1 path>"
    assert explanation._repr_latex_() == str(graph.explain("w1", form="latex"))
    assert explanation._repr_markdown_() == str(explanation.to("markdown"))
