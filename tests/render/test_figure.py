"""What is drawn, of what is folded and of what is left out."""

from __future__ import annotations

import time

import pytest

from gradtrace.errors import OptionError
from gradtrace.render import figure
from gradtrace.render.parts import Figure, FigureNode
from tests.render import examples


def node(drawn: Figure, name: str) -> FigureNode:
    return next(each for each in drawn.nodes if each.node == name)


def lines(each: FigureNode) -> list[str]:
    return [f"{row.caption} {row.text}".strip() for row in each.rows]


def test_leaves_calls_and_the_loss_differ_in_shape_and_colour() -> None:
    drawn = figure(examples.mlp())
    looks = [node(drawn, name).look for name in ("fc1.weight", "fc1.linear", "cross_entropy")]
    assert [look.role for look in looks] == ["parameter", "call", "output"]
    assert len({look.shape for look in looks}) == 3
    assert len({look.line for look in looks}) == 3
    assert node(drawn, "x").look.fill != node(drawn, "fc1.weight").look.fill


def test_a_node_shows_name_shape_value_and_upstream() -> None:
    drawn = figure(examples.mlp())
    assert lines(node(drawn, "fc1.weight")) == [
        "weight", "16 × 64", "‖value‖ 3.95", "‖upstream‖ 1.09",
    ]  # fmt: skip
    assert lines(node(drawn, "cross_entropy")) == [
        "cross_entropy", "scalar", "value 2.75", "upstream 1",
    ]  # fmt: skip


def test_nothing_is_said_of_gradients_where_there_are_none() -> None:
    drawn = figure(examples.mlp())
    assert lines(node(drawn, "target")) == ["target", "32 · int64", "‖value‖ 25.6"]
    assert "gradient" not in node(drawn, "target").tooltip


def test_what_was_not_computed_says_so() -> None:
    drawn = figure(examples.chain(1))
    assert lines(node(drawn, "sin"))[2:] == ["value not computed", "upstream not computed"]
    assert [row.role for row in node(drawn, "sin").rows[2:]] == ["missing", "missing"]
    assert [edge.line for edge in drawn.edges] == ["dashed"]


def test_what_is_not_finite_alarms() -> None:
    drawn = figure(examples.oddities())
    assert node(drawn, "x").rows[-1].role == "alarm"
    first = next(edge for edge in drawn.edges if edge.label == "×NaN")
    assert (first.line, first.colour) == ("solid", "#A63F00")
    assert "NaN, Inf" in [sample.text for sample in (drawn.legend and drawn.legend.scale) or ()]


def test_an_edge_shows_its_local_derivative() -> None:
    labels = {edge.tooltip.split(",")[0]: edge.label for edge in figure(examples.mlp()).edges}
    assert labels["fc1.linear → relu"] == "diagonal ×0.758"
    assert labels["fc1.weight → fc1.linear"] == "×8.14"
    assert labels["target → cross_entropy"] == ""
    numbers = [edge.label for edge in figure(examples.scalars()).edges]
    assert numbers == ["1.5", "1.5", "0.0707", "0.25", "", "1", "1"]


def test_larger_gradients_are_drawn_darker_and_wider() -> None:
    edges = [edge for edge in figure(examples.stack(12)).edges if edge.line == "solid"]
    first, last = edges[0], edges[-1]
    assert last.width > 2 > 1.6 > first.width
    assert int(last.colour[1:], 16) < int(first.colour[1:], 16)


def test_frames_nest_as_scopes_do() -> None:
    drawn = figure(examples.residual())
    clusters = {cluster.id: cluster for cluster in drawn.clusters}
    inner = clusters[node(drawn, "encoder.1.up.linear").cluster or ""]
    path = [inner.label]
    while inner.parent:
        inner = clusters[inner.parent]
        path.append(inner.label)
    assert path == ["up", "1", "encoder"]


def test_calls_of_one_module_have_a_frame_each() -> None:
    pencil = examples.Pencil()
    value = pencil.leaf("input", "x", 1.0)
    for _ in range(2):
        around = (pencil.enter(),)
        for _ in range(2):
            value = pencil.add(value, value, "twice", around)
    drawn = figure(pencil.backward(value))
    assert [cluster.label for cluster in drawn.clusters] == ["twice", "twice"]
    assert [each.cluster for each in drawn.nodes] == [None, "c0", "c0", "c1", "c1"]


def test_a_leaf_used_far_apart_is_drawn_at_each_use() -> None:
    pencil = examples.Pencil()
    weight = pencil.leaf("parameter", "w", 2.0)
    value = pencil.leaf("input", "x", 1.0)
    for _ in range(20):
        value = pencil.add(value, weight)
    uses = [each for each in figure(pencil.backward(value)).nodes if each.node == "w"]
    assert len(uses) == 20
    assert "use 20 of 20" in lines(uses[-1])


def test_depth_folds_and_the_figure_says_so() -> None:
    drawn = figure(examples.residual(3), depth=2)
    fold = node(drawn, "encoder.1")
    assert fold.look.role == "fold"
    assert lines(fold)[:3] == ["encoder.1", "4 calls · 8 × 12", "4 leaves inside"]
    assert drawn.note == "Folded at depth 2: 12 calls are inside folded boxes."


def test_a_large_graph_folds_by_itself() -> None:
    drawn = figure(examples.residual(100), fold_repeats=False)
    assert len(drawn.nodes) < 200
    assert drawn.note is not None
    assert "400 calls are inside folded boxes" in drawn.note


def test_operands_are_drawn_before_results_also_after_folding() -> None:
    drawn = figure(examples.residual(30), limit_nodes=60, fold_repeats=False)
    place = {each.id: index for index, each in enumerate(drawn.nodes)}
    assert all(place[edge.tail] < place[edge.head] for edge in drawn.edges)


def test_a_long_flat_chain_is_cut_in_time() -> None:
    graph = examples.chain(100_000)
    start = time.process_time()
    drawn = figure(graph, fold_repeats=False)
    assert time.process_time() - start < 10
    assert len(drawn.nodes) <= 200
    assert [lines(each)[0] for each in drawn.nodes if each.node is None] == [
        "… 99,868 calls not drawn …"
    ]
    assert drawn.note is not None
    assert "Of 100,000 calls the first 66 and the last 66 are drawn" in drawn.note


def test_a_crowd_of_leaves_is_counted() -> None:
    pencil = examples.Pencil()
    leaves = [pencil.leaf("input", f"x{i}", 1.0, differentiable=False) for i in range(1_000)]
    pencil.call("stack", 1.0, *((leaf, "", None) for leaf in leaves))
    drawn = figure(pencil.graph())
    assert len(drawn.nodes) == 18
    assert "… 984 leaves not drawn …" in [lines(each)[0] for each in drawn.nodes]


def test_many_uses_of_one_value_are_one_arrow() -> None:
    pencil = examples.Pencil()
    x = pencil.leaf("input", "x", 1.0, differentiable=False)
    pencil.call("stack", 1.0, *[(x, "", None)] * 9)
    assert [edge.label for edge in figure(pencil.graph()).edges] == ["9 uses"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"direction": "north"}, "use one of 'down', 'up', 'right', 'left'"),
        ({"depth": 0}, "depth=0 is not an option; use an integer from 1, or None"),
        ({"limit_nodes": 1.5}, "limit_nodes=1.5 is not an option; use an integer from 1"),
        ({"legend": "no"}, "legend='no' is not an option; use one of True, False"),
    ],
)
def test_a_wrong_option_lists_the_legal_ones(options: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        figure(examples.scalars(), **options)  # type: ignore[arg-type]
