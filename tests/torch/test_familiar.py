"""The calls of torchviz and torchview: names and shapes are those of torch itself."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import graphviz
import pytest
import torch
from torch import Tensor, nn

import gradtrace
from gradtrace.errors import BackendError, OptionError
from gradtrace_graphviz.layout import lay_out
from gradtrace_torch.history import history

Edges = set[tuple[str, str]]


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 1))


def nodes_of(root: Any) -> Iterator[Any]:
    """Yield autograd's nodes by a walk of its own, the other way round."""
    seen, queue = {root}, [root]
    while queue:
        node = queue.pop(0)
        yield node
        for below, _ in node.next_functions:
            if below is not None and below not in seen:
                seen.add(below)
                queue.append(below)


def test_make_dot_has_the_signature_of_torchviz() -> None:
    parameters = inspect.signature(gradtrace.make_dot).parameters
    assert {name: each.default for name, each in parameters.items()} == {
        "var": inspect.Parameter.empty,
        "params": None,
        "show_attrs": False,
        "show_saved": False,
        "max_attr_chars": 50,
    }


def test_make_dot_draws_every_node_of_autograd() -> None:
    model = network()
    loss = model(torch.randn(4, 8)).square().mean()
    drawn = gradtrace.make_dot(loss, params=dict(model.named_parameters()))
    assert isinstance(drawn, graphviz.Digraph)
    for node in nodes_of(loss.grad_fn):
        assert type(node).__name__ in drawn.source
    for name in dict(model.named_parameters()):
        assert name in drawn.source
    assert "16 × 8" in drawn.source
    assert "not computed" not in drawn.source


def test_history_has_the_edges_of_autograd() -> None:
    x = torch.randn(3, requires_grad=True)
    loss = (x * x).sum() + x.sum()
    found = history([loss], {"x": x}, attributes=False, saved=False, limit=50)
    expected = sum(
        1 for node in nodes_of(loss.grad_fn) for below, _ in node.next_functions if below
    )
    leaves = [each for each in found if each.role == "parameter"]
    assert [leaf.title for leaf in leaves] == ["x"]
    assert sum(len(each.operands) for each in found) == expected + len(leaves) + 1
    known: set[str] = set()
    for each in found:
        assert known.issuperset(each.operands)
        known.add(each.id)


def test_what_calls_saved_is_shown_when_told() -> None:
    x = torch.randn(3, 4, requires_grad=True)
    loss = torch.nn.functional.softmax(x, dim=1).sum()
    plain = gradtrace.make_dot(loss)
    told = gradtrace.make_dot(loss, params={"x": x}, show_attrs=True, show_saved=True)
    assert "saved result" not in plain.source
    assert "saved result" in told.source
    assert "dim: 1" in told.source


def test_attributes_are_cut() -> None:
    x = torch.randn(2, 3, requires_grad=True)
    found = history([x.reshape(3, 2)], {}, attributes=True, saved=False, limit=5)
    lines = [line for each in found for line in each.lines if ": " in line and each.role == "call"]
    assert lines
    assert all(len(line.split(": ", 1)[1]) <= max(5, len("saved tensor")) for line in lines)


def test_saved_tensors_that_were_freed_are_said_to_be() -> None:
    x = torch.randn(3, requires_grad=True)
    loss = x.exp().sum()
    loss.backward()
    assert "freed" in gradtrace.make_dot(loss, show_attrs=True, show_saved=True).source


def test_a_function_of_the_users_own_is_drawn() -> None:
    class Double(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            ctx.save_for_backward(x)
            return 2 * x

        @staticmethod
        def backward(ctx: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
            return 2 * gradient

    x = torch.randn(3, requires_grad=True)
    drawn = gradtrace.make_dot(Double.apply(x).sum(), {"x": x}, show_saved=True)
    assert "DoubleBackward" in drawn.source


def test_a_deep_graph_needs_no_recursion() -> None:
    y = torch.ones((), requires_grad=True)
    for _ in range(3000):
        y = y + 1
    assert gradtrace.make_dot(y).source.count("AddBackward0") >= 3000


def test_several_outputs_share_what_they_were_made_from() -> None:
    x = torch.randn(3, requires_grad=True)
    h = x.exp()
    source = gradtrace.make_dot((h.sum(), h.mean()), params={"x": x}).source
    assert source.count(">ExpBackward0<") == 1
    assert source.count(">output<") == 2


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (((), None), OptionError, r"make_dot\(\) got no tensor"),
        ((torch.ones(1, requires_grad=True), {"w": 3}), OptionError, r"params\['w'\] is a int"),
        ((3.0,), BackendError, "no backend recognizes"),
        ((torch.ones(1), None, False, False, 1), OptionError, "max_attr_chars=1"),
    ],
)
def test_make_dot_says_what_it_takes(arguments: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        gradtrace.make_dot(*arguments)


def test_hostile_names_make_dot_that_is_read_back() -> None:
    x = torch.randn(3, requires_grad=True)
    drawn = gradtrace.make_dot(x.sum(), params={'a:"b"\n\\<x>{}|%</script>': x})
    shapes = lay_out(drawn.source, "plain").decode().splitlines()
    assert sum(line.startswith("node ") for line in shapes) == 4
    assert sum(line.startswith("edge ") for line in shapes) == 3


def test_draw_graph_takes_what_torchview_takes() -> None:
    names = list(inspect.signature(gradtrace.draw_graph).parameters)
    assert names[:8] == [
        *("model", "input_data", "input_size", "graph_name", "depth", "device", "dtypes", "mode")
    ]
    assert {"expand_nested", "graph_dir", "hide_inner_tensors", "roll", "save_graph"} < set(names)


@pytest.mark.parametrize(
    "arguments",
    [
        {"input_size": (2, 8)},
        {"input_size": [(2, 8)]},
        {"input_data": torch.ones(2, 8)},
        {"input_data": [torch.ones(2, 8)]},
        {"input_data": {"input": torch.ones(2, 8)}},
        {"input": torch.ones(2, 8)},
        {"input_size": (2, 8), "device": "meta"},
        {"input_size": (2, 8), "mode": "train", "graph_dir": "LR", "roll": True, "depth": 1},
        {"input_size": (2, 8), "depth": float("inf"), "show_shapes": False},
    ],
)
def test_draw_graph_runs_the_model_once(arguments: dict[str, Any]) -> None:
    model = network()
    before = {name: each.clone() for name, each in model.state_dict().items()}
    state = torch.get_rng_state()
    drawn = gradtrace.draw_graph(model, **arguments)
    assert isinstance(drawn.visual_graph, graphviz.Digraph)
    calls = [node for node, kind in drawn.graph.nodes(data="kind") if kind == "call"]
    assert calls == ["0.linear", "1.tanh", "2.linear"]
    shown = re.sub(r'tooltip="[^"]*"', "", drawn.visual_graph.source)
    assert ("2 × 16" in shown) == arguments.get("show_shapes", True)
    assert model.training
    assert all(torch.equal(before[name], each) for name, each in model.state_dict().items())
    assert {each.device.type for each in model.parameters()} == {"cpu"}
    assert all(each.grad is None for each in model.parameters())
    assert torch.equal(state, torch.get_rng_state())


def test_modules_keep_their_own_modes() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout())
    model[1].eval()
    gradtrace.draw_graph(model, input_size=(1, 2), mode="train")
    assert [module.training for module in model.modules()] == [True, True, False]


def test_the_depth_folds_scopes() -> None:
    model = nn.Sequential(network(), network()[:0], nn.Sequential(nn.Linear(1, 4), nn.ReLU()))
    folded = gradtrace.draw_graph(model, input_size=(2, 8), depth=1).visual_graph.source
    whole = gradtrace.draw_graph(model, input_size=(2, 8), depth=3).visual_graph.source
    assert "relu" in whole
    assert "relu" not in folded
    assert "3 calls" in folded


def test_integers_are_made_for_embeddings() -> None:
    model = nn.Embedding(5, 3)
    drawn = gradtrace.draw_graph(model, input_size=(2, 4), dtypes=[torch.long])
    assert "2 × 4 × 3" in drawn.visual_graph.source


def test_the_drawing_is_resized_and_saved(tmp_path: Path) -> None:
    drawn = gradtrace.draw_graph(
        network(), input_size=(2, 8), graph_name="net", save_graph=True, directory=tmp_path
    )
    assert (tmp_path / "net.png").read_bytes().startswith(b"\x89PNG")
    assert drawn.visual_graph.name == "net"
    drawn.resize_graph(scale=2.0, min_size=50)
    assert 'size="100.0,100.0"' in drawn.visual_graph.source


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, r"draw_graph\(\) needs input_data= or input_size="),
        ({"input_size": (1, 8), "input_data": torch.ones(1, 8)}, "not both"),
        ({"input_size": (1, 8), "mode": "test"}, "mode='test' is not an option"),
        ({"input_size": (1, 8), "graph_dir": "UP"}, "graph_dir='UP' is not an option"),
        ({"input_size": [(1, 8)], "dtypes": []}, None),
        ({"input_size": [(1, 8)], "dtypes": [torch.float] * 2}, "2 types for 1 sizes"),
    ],
)
def test_draw_graph_says_what_it_takes(arguments: dict[str, Any], message: str | None) -> None:
    if message is None:
        assert gradtrace.draw_graph(network(), **arguments).graph
        return
    with pytest.raises(OptionError, match=message):
        gradtrace.draw_graph(network(), **arguments)


def test_a_backend_that_cannot_says_what_to_do() -> None:
    import gradtrace_numpy

    with pytest.raises(BackendError, match=r"has nothing for make_dot\(\); trace the run"):
        gradtrace.make_dot(gradtrace_numpy.array([1.0]))
