"""Every rule finds its planted faults, and is silent on their healthy twins."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

import gradtrace
from gradtrace.analysis.diagnose.rules import RULES
from tests.analysis.faults import (
    Program,
    bias,
    chain,
    convolutions,
    half,
    in_block,
    on_leaf,
    put,
    regress,
    row,
    scale,
    sigmoids,
    two_losses,
    weights,
)


def orthogonal(weight: Tensor) -> None:
    weight.copy_(4 * torch.linalg.qr(torch.randn_like(weight))[0])


def masked(scores: Tensor) -> Tensor:
    """Leave the third query nothing to attend to."""
    mask = torch.zeros(scores.shape[-2:], dtype=torch.bool)
    mask[2] = True
    return scores.masked_fill(mask, float("-inf"))


def difference(x: Tensor, fault: bool) -> Tensor:
    large = (x * 200 if fault else x).exp()
    return large * 2 - large


def some_dead(block: Any) -> None:
    bias(block.fc1, slice(8), -99.0)


def all_dead(block: Any) -> None:
    bias(block.fc1, slice(None), -99.0)


def steeper(x: Tensor) -> Tensor:
    """Return x, with a gradient that is a million times as large."""
    return x + (x * 1e6 - (x * 1e6).detach())


def times(factor: float, fault: bool) -> float:
    return factor if fault else 1.0


def ratio(x: Tensor, fault: bool) -> Tensor:
    return (x / (x if fault else x + 1)).exp()


def unused(block: Any) -> None:
    block.extra = nn.Linear(3, 3)


def without_gradient(x: Tensor) -> Tensor:
    with torch.no_grad():
        return x * 1


def twice_zero(block: Any) -> None:
    block.on_hidden = lambda x: x * torch.zeros_like(x)


def saturate(block: Any) -> None:
    scale(block, "fc1", 300.0)
    block.act = torch.sigmoid


def large_row(x: Tensor, target: Tensor, weight: Tensor) -> None:
    x[3] *= 1000


def small_operand(model: Any, x: Tensor, fault: bool) -> Tensor:
    shift = torch.full((16,), 1e-9 if fault else 1.0, requires_grad=True)
    return model(x + shift.half()).float().sum()


def large_weight(x: Tensor, target: Tensor, weight: Tensor) -> None:
    weight[5] = 1e3


def opposed_targets(model: Any, x: Tensor, sign: float) -> Tensor:
    h = model(x)
    return (h - 5).pow(2).mean() + (h - sign * 5).pow(2).mean()


def opposed_heads(model: Any, x: Tensor, sign: float) -> Tensor:
    h = model(x)
    one, other = nn.Parameter(torch.eye(8)), nn.Parameter(0.9 * sign * torch.eye(8))
    return F.linear(h, one).sum() + F.linear(h, other).sum()


def opposed_inside(model: Any, x: Tensor, sign: float) -> Tensor:
    h = model.blocks[1](model.blocks[0](model.inp(x)))
    rest = model.out(model.norm(model.blocks[2](h))).sum() * 1e-3
    return (h - 50).pow(2).mean() + (h - sign * 50).pow(2).mean() + rest


FAULTS: dict[str, dict[str, tuple[Program, str]]] = {
    "vanishing": {
        "ten sigmoids": (chain(10, nn.Sigmoid, lambda m: None), "0.linear"),
        "small weights": (chain(8, nn.Identity, weights(lambda w: w.mul_(0.2))), "0.linear"),
        "a trunk scaled down": (in_block(put("on_trunk", lambda x: x * 1e-7)), "inp.linear"),
        "a branch of ten sigmoids": (in_block(sigmoids(10)), "blocks.1"),
        "a branch of four sigmoids": (in_block(sigmoids(4)), "blocks.1"),
        "a branch scaled to nothing": (in_block(put("on_attention", lambda x: x * 1e-9)), "mul"),
    },
    "exploding": {
        "large weights": (chain(20, nn.ReLU, weights(lambda w: w.mul_(5))), "0.linear"),
        "4 × orthogonal": (chain(8, nn.Identity, weights(orthogonal)), "0.linear"),
        "a trunk scaled up": (in_block(put("on_trunk", steeper)), "inp.linear"),
    },
    "dead_relu": {
        "a quarter": (in_block(some_dead, keep="all"), "blocks.1.relu"),
        "all": (in_block(all_dead), "blocks.1.relu"),
        "channels": (convolutions, "1.relu"),
    },
    "saturated": {
        "attention": (in_block(lambda b: scale(b, "query", 1e3)), "blocks.1.softmax"),
        "sigmoid": (in_block(saturate), "blocks.1.sigmoid"),
        "tanh": (chain(2, nn.Tanh, weights(lambda w: w.mul_(300))), "1.tanh"),
    },
    "nonfinite_value": {
        "0 / 0, then exp": (on_leaf(ratio, [0.0, 1.0]), "div"),
        "log below 0": (in_block(put("on_hidden", lambda x: (x - 9).log())), "blocks.1.log"),
        "nothing to attend to": (in_block(put("on_scores", masked)), "blocks.1.softmax"),
        "exp": (on_leaf(lambda x, bad: (x * (1000 if bad else 1)).exp(), [1.0, 2.0]), "exp"),
        "∞ − ∞": (on_leaf(difference, [1.0, 2.0]), "exp"),
    },
    "nonfinite_gradient": {
        "sqrt at 0": (on_leaf(lambda x, bad: (x if bad else x + 1).sqrt(), [0.0, 4.0]), "sqrt"),
        "log not chosen": (
            on_leaf(lambda x, bad: torch.where(x > 0, (x if bad else x + 1).log(), x), [0.0, 4.0]),
            "log",
        ),
        "an angle at its end": (
            in_block(put("on_hidden", lambda x: x + (x * 0 + 1).acos())), "blocks.1.acos",
        ),
        "a root in a block": (
            in_block(put("on_attention", lambda x: x * (x * 0).abs().sqrt())), "blocks.1.sqrt",
        ),
    },
    "no_gradient": {
        "detached": (in_block(put("on_hidden", Tensor.detach)), "blocks.1.fc1.weight"),
        "without gradient": (
            in_block(put("on_attention", without_gradient)), "blocks.1.project.weight"
        ),
        "whole numbers": (
            in_block(put("on_hidden", lambda x: x.long().float())), "blocks.1.fc1.bias",
        ),
        "not used": (in_block(unused), "blocks.1.extra.weight"),
    },
    "zero_gradient": {
        "round": (in_block(put("on_hidden", torch.round)), "blocks.1.round"),
        "clamp": (in_block(put("on_attention", lambda x: x.clamp(50, 60))), "blocks.1.clamp"),
        "times 0": (in_block(twice_zero), "blocks.1"),
        "dead": (in_block(all_dead), "blocks.1.relu"),
    },
    "loss_broadcast": {
        "by hand": (regress(lambda y, t: (y - t).pow(2).mean()), "sub"),
        "mse_loss": (regress(F.mse_loss), "mse_loss"),
        "on a transformer": (regress(lambda y, t: (t - y).abs().mean(), deep=True), "sub"),
        "l1_loss": (regress(F.l1_loss), "l1_loss"),
    },
    "overflow": {
        "a product": (half(lambda m, x, bad: m(x * times(2e4, bad)).float().mean()), "mul"),
        "a square": (half(lambda m, x, bad: (m(x) * times(3e3, bad)).pow(2).mean()), "pow"),
        "a gradient": (half(lambda m, x, bad: m(x).float().sum() * times(1e5, bad)), "float"),
    },
    "underflow": {
        "a gradient of 0": (half(lambda m, x, bad: m(x).float().sum() * times(1e-9, bad)), "float"),
        "lost bits": (half(lambda m, x, bad: m(x).float().sum() * times(1e-6, bad)), "float"),
        "a value": (half(small_operand), "half"),
    },
    "dominant_row": {
        "input": (row(large_row), "linear"),
        "target": (row(lambda x, t, w: t.__setitem__(3, 1e4)), "linear"),
        "weight of the loss": (row(large_weight), "linear"),
        "weight, on a transformer": (row(large_weight, deep=True), ""),
    },
    "conflict": {
        "targets": (two_losses(opposed_targets), "out.linear"),
        "heads": (two_losses(opposed_heads), "out.linear"),
        "inside": (two_losses(opposed_inside), "blocks.1.add"),
    },
}  # fmt: skip

CASES = [
    pytest.param(rule, *row, id=f"{rule}: {name}")
    for rule, rows in FAULTS.items()
    for name, row in rows.items()
]


def test_every_rule_has_three_faults() -> None:
    assert set(FAULTS) == {rule.name for rule in RULES}
    assert all(len(rows) >= 3 for rows in FAULTS.values())


@pytest.mark.parametrize(("rule", "program", "where"), CASES)
def test_the_fault_is_found(rule: str, program: Program, where: str) -> None:
    found = [finding for finding in program(True).diagnose() if finding.rule == rule]
    severe = [finding for finding in found if finding.severity != "note"]
    assert any(where in str(finding.node) for finding in severe), found
    for finding in found:
        assert finding.cause
        assert finding.remedy
        assert finding.numbers


@pytest.mark.parametrize(("rule", "program", "where"), CASES)
def test_the_healthy_twin_is_healthy(rule: str, program: Program, where: str) -> None:
    diagnosis = program(False).diagnose()
    assert diagnosis.ok, str(diagnosis)
    assert rule not in {finding.rule for finding in diagnosis}


@pytest.mark.parametrize(("rule", "program", "where"), CASES[::4])
def test_a_loaded_graph_has_the_same_diagnosis(
    rule: str, program: Program, where: str, tmp_path: Any
) -> None:
    graph = program(True)
    again = gradtrace.load(graph.save(tmp_path / "graph.gradtrace"))
    assert str(again.diagnose()) == str(graph.diagnose())
