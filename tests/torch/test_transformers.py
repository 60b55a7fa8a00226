"""Whether the chain rule closes on the architectures that people train."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import gradtrace
from tests.torch.architectures import ARCHITECTURES

pytestmark = pytest.mark.filterwarnings("ignore")

ON_THE_FLY = {"CrossEntropyLoss", "SiLUActivation"}
"""Modules that a forward method makes anew each time; their scope is the name of their class."""

every_architecture = pytest.mark.parametrize("name", ARCHITECTURES)


def made(name: str) -> nn.Module:
    torch.manual_seed(0)
    return ARCHITECTURES[name][0]().train()


def step(name: str, model: nn.Module) -> Tensor:
    torch.manual_seed(1)
    loss = ARCHITECTURES[name][1](model)
    loss.backward()
    return loss.detach()


def gradients(model: nn.Module) -> dict[str, Tensor]:
    return {n: p.grad for n, p in model.named_parameters() if p.grad is not None}


def upstreams(data: dict[str, Any]) -> list[gradtrace.Summary]:
    upstream = data["upstream_gradient"]
    parts = upstream if isinstance(upstream, tuple) else (upstream,)
    return [part for part in parts if part is not None]


def assert_chain_rule_closed(graph: gradtrace.Graph, fewest: int) -> None:
    """Demand that each node with an upstream gradient passes, of which there are so many."""
    verdicts = {verdict.node: verdict for verdict in graph.check()}
    reached = [node for node, data in graph.nodes(data=True) if upstreams(data)]
    assert len(reached) >= fewest
    for node in reached:
        assert verdicts[node].verdict == "pass", str(verdicts[node])
    assert not graph.check().failed


@pytest.mark.parametrize(
    "options",
    [{"keep": "all"}, {"keep": "all", "derivatives": "norm"}, {}],
    ids=["all", "norm", "default"],
)
@every_architecture
def test_the_chain_rule_is_closed(name: str, options: dict[str, str]) -> None:
    model, plain = made(name), made(name)
    expected_loss = step(name, plain)
    state = torch.get_rng_state()
    with gradtrace.trace(model, **options) as graph:
        loss = step(name, model)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(loss, expected_loss)
    if options:
        assert_chain_rule_closed(graph, fewest=50)
    assert not graph.check().failed
    found, expected = gradients(model), gradients(plain)
    assert list(found) == list(expected)
    assert len(found) >= 20
    named = {label: data for data in graph.nodes.values() for label in data["names"]}
    for label, gradient in found.items():
        assert torch.equal(gradient, expected[label]), label
        upstream = named[label]["upstream_gradient"]
        if options:
            np.testing.assert_array_equal(upstream.array, gradient.numpy(), err_msg=label)
        norm = gradient.double().norm().item()
        assert upstream.norm == pytest.approx(norm, rel=1e-5, abs=1e-30), label


@pytest.mark.parametrize("name", ["gpt2", "llama", "bert", "t5", "vit", "mixtral", "convnext"])
def test_exact_derivatives_pull_every_gradient_back(name: str) -> None:
    model = made(name)
    with gradtrace.trace(model, keep="all", derivatives="exact", limit=2**16) as graph:
        step(name, model)
    assert_chain_rule_closed(graph, fewest=50)
    structures = [
        edge["local_derivative"].structure
        for _, _, edge in graph.edges(data=True)
        if edge["local_derivative"] is not None
    ]
    assert {"identity", "diagonal", "dense"} <= set(structures)
    assert structures.count("operator") < 0.9 * len(structures)


def test_primitives_of_an_architecture_close_too() -> None:
    model = made("gpt2")
    with gradtrace.trace(model, keep="all", detail="primitive") as graph:
        step("gpt2", model)
    assert_chain_rule_closed(graph, fewest=100)


@every_architecture
def test_modules_of_an_architecture_keep_the_gradients(name: str) -> None:
    model = made(name)
    with gradtrace.trace(model, keep="all", detail="module") as graph:
        step(name, model)
    assert not graph.check().failed
    named = {label: data for data in graph.nodes.values() for label in data["names"]}
    for label, gradient in gradients(model).items():
        upstream = named[label]["upstream_gradient"]
        np.testing.assert_array_equal(upstream.array, gradient.numpy(), err_msg=label)


@every_architecture
def test_scopes_are_the_dotted_paths_of_the_modules(name: str) -> None:
    model = made(name)
    with gradtrace.trace(model) as graph:
        step(name, model)
    paths = {path for path, _ in model.named_modules(remove_duplicate=False)}
    scopes = {data["scope"] for data in graph.nodes.values()}
    made_in_forward = {scope for scope in scopes - paths if scope.split(".")[-1] in ON_THE_FLY}
    assert scopes <= paths | made_in_forward
    assert len(scopes) > 10
    for node, data in graph.nodes(data=True):
        if data["kind"] == "call":
            assert node.startswith(f"{data['scope']}.{data['op']}".lstrip("."))
        if data["kind"] in ("parameter", "buffer"):
            assert data["names"], node


def test_inputs_are_named_after_the_arguments_of_forward() -> None:
    model = made("gpt2")
    first, second = torch.randint(0, 50, (2, 8)), torch.randint(0, 50, (2, 8))
    with gradtrace.trace(model) as graph:
        model(first, labels=second).loss.backward()
    kinds = {node: data["kind"] for node, data in graph.nodes(data=True)}
    assert kinds["input_ids"] == "input"
    assert "first" not in kinds


def test_inputs_given_by_keyword_are_named_after_them() -> None:
    model = made("gpt2")
    first, second = torch.randint(0, 50, (2, 8)), torch.randint(0, 50, (2, 8))
    with gradtrace.trace(model) as graph:
        model(input_ids=first, labels=second).loss.backward()
    assert {"input_ids", "labels"} <= set(graph)


def test_tied_weights_of_an_architecture_are_one_node() -> None:
    model = made("gpt2")
    with gradtrace.trace(model) as graph:
        step("gpt2", model)
    (names,) = {d["names"] for d in graph.nodes.values() if "lm_head.weight" in d["names"]}
    assert names == ("transformer.wte.weight", "lm_head.weight")
    assert graph.out_degree("transformer.wte.weight") == 2
