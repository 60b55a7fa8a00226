"""The networks that people put into papers: a page each, in time, nothing of them left out."""

from __future__ import annotations

import os
from functools import cache
from xml.etree import ElementTree as ET

import pytest

from gradtrace.graph import Graph
from gradtrace.render import figure
from gradtrace.render.repeats import fold_repeats
from tests.render.networks import NETWORKS, gated
from tests.render.test_drawing import SVG

SECONDS = 3.0

names = pytest.mark.parametrize("name", NETWORKS)
pages = pytest.mark.parametrize("page", ["column", "text"])


@cache
def graph_of(name: str) -> Graph:
    return NETWORKS[name]()


def drawn(name: str, page: str) -> ET.Element:
    drawing = graph_of(name).render(width=page)
    assert isinstance(drawing, str)
    return ET.fromstring(drawing)


def texts(root: ET.Element) -> list[str]:
    return [element.text or "" for element in root.iter(f"{SVG}text")]


@names
@pages
def test_a_network_fits_a_page_in_time(name: str, page: str) -> None:
    len(graph_of(name))  # made before the clock starts
    start = sum(os.times()[:4])  # of this process and of Graphviz: others use this machine as well
    root = drawn(name, page)
    assert sum(os.times()[:4]) - start < SECONDS
    inches = {"column": 3.25, "text": 6.75}[page]
    assert root.get("width") == f"{72 * inches:g}pt"
    assert float(root.get("height", "").removesuffix("pt")) <= 72 * 9
    assert not [text for text in texts(root) if "not drawn" in text and "calls" in text]


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("gpt2", "h.0 … 11  × 12"),
        ("vit", "layers.0 … 11  × 12"),
        ("resnet50", "layers.1 … 5  × 5"),
        ("lstm", "× 50 steps"),
    ],
)
def test_what_a_network_repeats_is_drawn_once(name: str, label: str) -> None:
    made = figure(graph_of(name), fold_repeats=True, limit_nodes=400)
    assert any(label in cluster.label for cluster in made.clusters)


@pytest.mark.parametrize("page", ["column", "text"])
def test_the_first_step_folds_with_the_rest_though_it_has_less(page: str) -> None:
    graph = gated()
    made = figure(graph, width=page, fold_repeats=True)
    (frame,) = [cluster for cluster in made.clusters if cluster.repeats > 1]
    assert (frame.label, frame.repeats) == ("× 50 steps", 50)
    outside = [node.node for node in made.nodes if node.cluster is None]
    assert outside == ["sequence", "unbind", "head.linear", "labels", "cross_entropy"]
    name = {node.id: node.node for node in made.nodes}
    carried = {(name[e.tail], name[e.head]) for e in made.edges if e.kind == "carried"}
    assert carried == {("mul_5", "h.linear"), ("add_2", "mul_4")}


def test_every_step_is_in_the_numbers_of_the_steps() -> None:
    graph = gated()
    folded = fold_repeats(graph)
    count = {node: len(data["repeated"]) for node, data in folded.nodes(data=True) if "run" in data}
    assert {count["x.linear_2"], count["mul_5"]} == {50}
    assert {count["h.linear"], count["add_2"]} == {49}
    assert sum(count.values()) + sum("run" not in d for _, d in folded.nodes(data=True)) == len(
        graph
    )


def test_what_feeds_a_network_is_drawn_on_a_page() -> None:
    made = figure(graph_of("gpt2"), width="column")
    assert [n.node for n in made.nodes if n.look.role == "input"] == ["input_ids", "input_ids"]
    assert not [n for n in made.nodes if n.node and "mask" in n.node]


def test_the_skips_of_a_unet_are_skips() -> None:
    made = figure(graph_of("unet"), depth=1, show=["shapes"])
    name = {node.id: node.node for node in made.nodes}
    skips = {(name[edge.tail], name[edge.head]) for edge in made.edges if edge.kind == "skip"}
    assert skips == {("down1", "cat_3"), ("down2", "cat_2"), ("down3", "cat")}


def test_the_residual_connections_of_a_transformer_are_skips() -> None:
    made = figure(graph_of("gpt2"), width="column")
    name = {node.id: node.node for node in made.nodes}
    heads = [name[edge.head] for edge in made.edges if edge.kind == "skip"]
    assert heads == ["transformer.h.0.add", "transformer.h.0.add_2"]
