"""Diagnoses of training steps that are unusual, and healthy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.utils.checkpoint import checkpoint

import gradtrace
from gradtrace.analysis.diagnose import Diagnosis
from tests.analysis.faults import Transformer, traced

X = torch.randn(16, 6, 8, generator=torch.Generator().manual_seed(0))
Y = torch.arange(16) % 4


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def diagnosed(model: Any, step: Callable[[], Tensor], **options: Any) -> Diagnosis:
    return traced(model, step, **options).diagnose()


def loss_of(model: nn.Module) -> Callable[[], Tensor]:
    return lambda: F.cross_entropy(model(X), Y)


def test_the_graph_lists_all_parameters_of_the_model() -> None:
    model = Transformer()
    model.blocks[0].extra = nn.Linear(2, 2)
    model.inp.requires_grad_(False)
    graph = traced(model, loss_of(model))
    expected = {name: each.requires_grad for name, each in model.named_parameters()}
    assert graph.graph["parameters"] == expected
    assert graph.collapse(1).graph["parameters"] == expected


def test_a_model_that_is_met_late_is_listed_too(tmp_path: Any) -> None:
    model = Transformer()
    model.extra = nn.Linear(2, 2)
    graph = traced(None, loss_of(model))
    again = gradtrace.load(graph.save(tmp_path / "graph.gradtrace"))
    for each in (graph, again):
        nodes = {finding.node for finding in each.diagnose(rules=["no_gradient"])}
        assert nodes == {"model.extra.weight", "model.extra.bias"}


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpoints(reentrant: bool) -> None:
    model = Transformer()
    forward = model.blocks[1].forward
    model.blocks[1].forward = lambda x: checkpoint(forward, x, use_reentrant=reentrant)
    assert len(diagnosed(model, loss_of(model))) == 0


def test_autocast() -> None:
    model = Transformer()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert len(diagnosed(model, loss_of(model))) == 0


def test_tied_weights_are_used() -> None:
    model = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 8))
    model[2].weight = model[0].weight
    assert len(diagnosed(model, lambda: model(X).pow(2).mean())) == 0


def test_parameters_that_are_stood_in_for_are_undetermined() -> None:
    model = Transformer()
    stand_ins = {n: p.detach().clone().requires_grad_() for n, p in model.named_parameters()}
    step = lambda: F.cross_entropy(torch.func.functional_call(model, stand_ins, (X,)), Y)  # noqa: E731
    diagnosis = diagnosed(model, step)
    assert diagnosis.ok
    assert "only stand-ins" in str(diagnosis)


@pytest.mark.parametrize("of", ["parameters", "input"])
def test_gradients_by_autograd_grad(of: str) -> None:
    model, x = Transformer(), X.clone().requires_grad_()
    with gradtrace.trace(model) as graph:
        loss = F.cross_entropy(model(x), Y)
        torch.autograd.grad(loss, list(model.parameters()) if of == "parameters" else x)
    diagnosis = graph.diagnose()
    assert diagnosis.ok, str(diagnosis)
    assert all("asked for no gradient" in finding.cause for finding in diagnosis)


def test_an_adapter_that_begins_at_0_is_a_note() -> None:
    class Adapted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.base, self.out = nn.Linear(8, 8), nn.Linear(8, 4)
            self.down, self.up = nn.Linear(8, 2, bias=False), nn.Linear(2, 8, bias=False)
            self.base.requires_grad_(False)
            nn.init.zeros_(self.up.weight)

        def forward(self, x: Tensor) -> Tensor:
            return self.out(self.base(x) + self.up(self.down(x))).mean(1)

    model = Adapted()
    diagnosis = diagnosed(model, loss_of(model))
    assert diagnosis.ok, str(diagnosis)
    assert {(finding.rule, finding.node) for finding in diagnosis} == {
        ("no_gradient", "base.weight"),
        ("no_gradient", "base.bias"),
        ("zero_gradient", "down.weight"),
    }


def test_a_first_step_from_a_state_of_zeros_is_a_note() -> None:
    model = nn.GRU(8, 16, batch_first=True)
    diagnosis = diagnosed(model, lambda: model(X[:, :1])[0].pow(2).sum())
    assert diagnosis.ok, str(diagnosis)
    assert [finding.node for finding in diagnosis] == ["weight_hh_l0"]


def test_a_contrastive_loss_is_no_accident() -> None:
    model = nn.Linear(8, 4)

    def step() -> Tensor:
        one, other = (F.normalize(model(X[:, i]), dim=1) for i in (0, 1))
        near = (one[:, None] - other[None]).pow(2).sum(-1)
        return F.cross_entropy(-near / 0.1, torch.arange(16))

    diagnosis = diagnosed(model, step)
    assert diagnosis.ok, str(diagnosis)


def test_a_hinge_that_is_satisfied_in_part_is_no_dead_unit() -> None:
    model = nn.Linear(8, 1)

    def step() -> Tensor:
        scores = model(X[:, 0])
        return torch.relu(1 - scores * 1e3 * scores.detach().sign()).mean() + scores.mean()

    diagnosis = diagnosed(model, step, keep="all")
    assert not [finding for finding in diagnosis if finding.rule == "dead_relu"]


def test_a_recurrence_that_forgets_vanishes_through_time() -> None:
    cell = nn.RNNCell(8, 16)

    def step(length: int) -> Tensor:
        state = torch.zeros(16, 16)
        for time in range(length):
            state = cell(X[:, time % 6], state)
        return state.pow(2).mean()

    assert diagnosed(cell, lambda: step(3)).ok
    (finding,) = diagnosed(cell, lambda: step(40)).warnings
    assert finding.rule == "vanishing"
    assert finding.node == "rnn_tanh_cell"


def test_the_steps_of_a_recurrence_vanish_as_one_finding() -> None:
    model = nn.ModuleDict({"inp": nn.Linear(8, 8), "gate": nn.Linear(8, 8), "out": nn.Linear(8, 4)})

    def step(keep: float) -> Tensor:
        x = model["inp"](X[:4].repeat(1, 7, 1))
        state, states = x[:, 0] * 0, []
        for time in range(40):
            state = keep * state + model["gate"](x[:, time]).tanh()
            states.append(state)
        last = torch.stack(states, 1)[:, -1] + x.mean(1)
        return F.cross_entropy(model["out"](last), Y[:4])

    assert diagnosed(model, lambda: step(0.9)).ok
    found = diagnosed(model, lambda: step(0.2)).warnings
    assert {finding.rule for finding in found} == {"vanishing"}
    assert len(found) < 4, found
    assert not [finding for finding in found if "stack" in str(finding.node)]


class Student(nn.Module):
    """A student with a teacher beside it that makes its targets."""

    def __init__(self) -> None:
        super().__init__()
        self.online, self.head, self.target = (nn.Linear(8, 8) for _ in range(3))

    def forward(self, x: Tensor, *, into_trunk: bool = False) -> Tensor:
        with torch.no_grad():
            target = self.target(x)
        if into_trunk:
            return self.head(self.online(x) + target).pow(2).mean()
        return F.mse_loss(self.head(self.online(x)), target)


def test_a_teacher_in_no_grad_is_a_note_and_an_encoder_a_warning() -> None:
    model = Student()
    diagnosis = diagnosed(model, lambda: model(X))
    assert diagnosis.ok, str(diagnosis)
    assert {finding.node for finding in diagnosis.notes} == {"target.weight", "target.bias"}
    assert "no_grad" in diagnosis.notes[0].cause
    wrong = diagnosed(model, lambda: model(X, into_trunk=True))
    assert {finding.node for finding in wrong.warnings} == {"target.weight", "target.bias"}


def test_another_model_than_the_traced_one_is_not_expected_to_learn() -> None:
    critic, generator = nn.Linear(8, 1), nn.Linear(8, 8)
    diagnosis = diagnosed(critic, lambda: critic(generator(X).detach()).mean())
    assert diagnosis.ok, str(diagnosis)
    both = nn.ModuleList([critic, generator])
    assert not diagnosed(both, lambda: critic(generator(X).detach()).mean()).ok


@pytest.mark.parametrize("leave", [lambda x: torch.tensor(x.tolist()), lambda x: x.sum().item()])
def test_what_leaves_as_numbers_is_said_where(leave: Callable[[Tensor], Any]) -> None:
    model = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8))
    found = diagnosed(model, lambda: (model[1](X) * leave(model[0](X))).sum()).warnings
    assert {finding.node for finding in found} == {"0.weight", "0.bias"}
    assert "ends at " in found[0].cause
    assert "item()" in found[0].cause
    assert "test_diagnose_torch.py" in found[0].cause


def test_a_hard_sample_passes_straight_through() -> None:
    model = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 4))
    step = lambda: F.mse_loss(model[1](F.gumbel_softmax(model[0](X), hard=True)), X[..., :4])  # noqa: E731
    assert diagnosed(model, step).ok


def test_a_weight_that_two_losses_share_is_no_warning() -> None:
    model = nn.Linear(8, 8, bias=False)

    def step() -> Tensor:
        weight = model.weight.t()
        return (X @ weight).sum() - 0.99 * ((X + 1e-3) @ weight).sum()

    diagnosis = diagnosed(model, step)
    assert diagnosis.ok, str(diagnosis)
    assert "conflict" in {finding.rule for finding in diagnosis.notes}


RELUS: list[Callable[[Tensor], Tensor]] = [
    lambda x: x.clamp(min=0),
    lambda x: x.clip(0, 6),
    lambda x: F.hardtanh(x, 0, 6),
    lambda x: torch.maximum(x, torch.zeros(())),
    lambda x: torch.where(x > 0, x, 0.0),
]


@pytest.mark.parametrize("relu", RELUS)
def test_a_relu_by_another_name_may_be_dead_too(relu: Callable[[Tensor], Tensor]) -> None:
    model = nn.Sequential(nn.Linear(8, 16), nn.Linear(16, 4))
    step = lambda: F.cross_entropy(model[1](relu(model[0](X))).mean(1), Y)  # noqa: E731
    assert diagnosed(model, step, keep="all").ok
    with torch.no_grad():
        model[0].bias[:4] = -60.0
    (finding,) = diagnosed(model, step, keep="all").warnings
    assert finding.rule == "dead_relu"
    assert finding.numbers["dead"] == 4


def test_attention_that_is_not_recorded_inside_is_said() -> None:
    q = torch.randn(2, 1, 4, 8, requires_grad=True)
    step = lambda: F.scaled_dot_product_attention(q, q, q).pow(2).sum()  # noqa: E731
    reasons = [each.reason for each in diagnosed(None, step).undetermined]
    assert "the softmax inside scaled_dot_product_attention is not recorded" in reasons
