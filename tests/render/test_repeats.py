"""What is repeated, drawn once: blocks with parameters of their own, and steps of a recurrence."""

from __future__ import annotations

import time

import numpy as np
import pytest

from gradtrace.graph import Graph
from gradtrace.render import figure
from gradtrace.render.numbers import number
from gradtrace.render.parts import Figure, FigureNode
from gradtrace.render.repeats import fold_repeats
from tests.render import examples


def node(drawn: Figure, name: str) -> FigureNode:
    return next(each for each in drawn.nodes if each.node == name)


def lines(each: FigureNode) -> list[str]:
    return [f"{row.caption} {row.text}".strip() for row in each.rows]


def recurrent(steps: int = 12) -> Graph:
    """Return a recurrence with one weight, h = relu(h + w), and its end."""
    pencil = examples.Pencil()
    weight = pencil.leaf("parameter", "w", np.full((2, 3), 0.5))
    state = pencil.leaf("input", "h", np.ones((2, 3)))
    for _ in range(steps):
        state = pencil.relu(pencil.add(state, weight))
    shape = np.ones((2, 3))
    end = pencil.call("sum", 1.0, (state, "operator", lambda g: g * shape))
    return pencil.backward(end)


def test_blocks_are_one_frame_with_first_and_last() -> None:
    graph = examples.residual(12)
    drawn = figure(graph, fold_repeats=True)
    (frame,) = [cluster for cluster in drawn.clusters if cluster.repeats > 1]
    assert (frame.label, frame.repeats) == ("encoder.0 … 11  × 12", 12)
    inside = [each.node for each in drawn.nodes if each.cluster == frame.id]
    assert inside == ["encoder.0.act.relu", "encoder.0.add"]
    norms = [graph.nodes[f"encoder.{i}.add"]["value"].norm for i in range(12)]
    shown = lines(node(drawn, "encoder.0.add"))
    assert f"‖value‖ {number(norms[0])} … {number(norms[-1])}" in shown
    upstreams = [graph.nodes[f"encoder.{i}.add"]["upstream_gradient"].norm for i in range(12)]
    assert f"‖upstream‖ {number(upstreams[0])} … {number(upstreams[-1])}" in shown


def test_the_range_is_told_where_the_ends_are_not_its_ends() -> None:
    graph = examples.residual(12)
    drawn = figure(graph, fold_repeats=True)
    name = "encoder.{}.down.bias"
    norms = [graph.nodes[name.format(i)]["value"].norm for i in range(12)]
    assert not {min(norms), max(norms)} <= {norms[0], norms[-1]}
    shown = lines(node(drawn, name.format(0)))
    assert f"range {number(min(norms))} – {number(max(norms))}" in shown


def test_folded_blocks_are_one_box() -> None:
    drawn = figure(examples.residual(12), depth=2, fold_repeats=True)
    block = node(drawn, "encoder.0")
    assert lines(block)[:2] == ["encoder.0 … 11", "× 12 · 4 calls · 8 × 12"]


def test_a_recurrence_is_rolled_with_what_it_hands_on() -> None:
    drawn = figure(recurrent(), fold_repeats=True)
    (frame,) = drawn.clusters
    assert frame.label == "× 12 steps"
    assert [each.node for each in drawn.nodes] == ["h", "w", "add", "relu", "sum"]
    ids = {each.node: each.id for each in drawn.nodes}
    carried = [(edge.tail, edge.head) for edge in drawn.edges if edge.kind == "carried"]
    assert carried == [(ids["relu"], ids["add"])]


def test_a_recurrence_is_unrolled_if_asked() -> None:
    drawn = figure(recurrent(), fold_repeats=False)
    assert sum(each.look.role == "call" for each in drawn.nodes) == 24
    assert not [edge for edge in drawn.edges if edge.kind == "carried"]


def test_blocks_hand_nothing_on() -> None:
    drawn = figure(examples.residual(12), fold_repeats=True)
    assert {edge.kind for edge in drawn.edges} == {"value", "skip"}


def test_what_follows_a_run_takes_it_from_the_run() -> None:
    drawn = figure(examples.residual(12), fold_repeats=True)
    ids = {each.node: each.id for each in drawn.nodes}
    assert (ids["encoder.0.add"], ids["head.linear"]) in {(e.tail, e.head) for e in drawn.edges}


@pytest.mark.parametrize("blocks", [1, 2])
def test_two_are_not_a_repetition(blocks: int) -> None:
    graph = examples.residual(blocks)
    assert fold_repeats(graph) is graph


def test_what_is_wired_otherwise_is_not_folded() -> None:
    pencil = examples.Pencil()
    first = pencil.leaf("input", "x", np.ones((2, 2)))
    value = pencil.relu(first)
    for index in range(30):  # operands in the order of Thue's sequence: no part of it comes thrice
        turned = index.bit_count() % 2
        value = pencil.add(first, value) if turned else pencil.add(value, first)
    graph = pencil.backward(value)
    folded = fold_repeats(graph)
    kept = sum(data.get("run") is not None for _, data in folded.nodes(data=True))
    assert kept == 0


def test_repetitions_keep_every_number() -> None:
    graph = examples.residual(12)
    folded = fold_repeats(graph)
    repeated = [data["repeated"] for _, data in folded.nodes(data=True) if "repeated" in data]
    assert {len(each) for each in repeated} == {12}
    gone = len(graph) - len(folded)
    assert gone == sum(len(each) - 1 for each in repeated)


def test_blocks_begin_where_their_scope_does() -> None:
    pencil, random = examples.Pencil(), np.random.default_rng(0)
    value = pencil.leaf("input", "x", random.normal(size=(4, 6)))
    value = pencil.relu(value, "net.0")  # ends like a block, so that a run could begin too early
    for index in range(1, 6):
        scope = f"net.{index}"
        value = pencil.relu(pencil.add(value, value, scope), scope)
    drawn = figure(pencil.backward(pencil.add(value, value)), fold_repeats=True)
    assert [c.label for c in drawn.clusters if c.repeats > 1] == ["net.1 … 5  × 5"]


def test_a_long_chain_is_folded_in_time() -> None:
    start = time.process_time()
    drawn = figure(examples.chain(20_000))
    assert time.process_time() - start < 10
    assert [cluster.label for cluster in drawn.clusters] == []
    assert "× 20,000 · scalar" in [line for each in drawn.nodes for line in lines(each)]
