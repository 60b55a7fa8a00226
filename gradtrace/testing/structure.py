"""Tests of the contract: which nodes and edges a graph has, and what is said of each."""

from __future__ import annotations

import networkx as nx

import gradtrace
from gradtrace.backends import GROUPS, Backend, plugins
from gradtrace.derivative import STRUCTURES, LocalDerivative
from gradtrace.summary import Summary
from gradtrace.tape import KINDS, Source
from gradtrace.testing.framework import Framework
from gradtrace.testing.reading import assert_sound, calls, elements, node_of, parts, uses

__all__ = ["Structure"]

NODE = frozenset(
    "kind op scope source order value upstream_gradient names seed differentiable invocations "
    "note".split()
)
EDGE = frozenset({"operand", "local_derivative", "downstream_gradient"})


class Structure(Framework):
    """A graph has the nodes and edges of the program, and nothing else."""

    def test_the_backend_is_a_working_plugin(self) -> None:
        found = {plugin.name: plugin for plugin in plugins(GROUPS[0])}
        assert self.backend in found, f"no entry point in {GROUPS[0]} is named {self.backend!r}"
        backend, why = found[self.backend].loaded, found[self.backend].error
        assert isinstance(backend, Backend), f"the backend {self.backend!r} is broken: {why}"
        assert backend.name == self.backend, f"its name is {backend.name!r}, not {self.backend!r}"
        x, _ = self.point()
        assert backend.recognizes(x), f"recognizes() does not know a leaf: {x!r}"
        assert not backend.recognizes(object()), "recognizes() takes any object for its own"

    def test_a_trace_finds_the_backend_by_itself(self) -> None:
        x, y = self.point()
        with gradtrace.trace() as graph:
            self.polynomial(x, y)
        found = graph.graph["backend"]
        assert found == self.backend, f"the trace was made by {found!r}, not {self.backend!r}"

    def test_a_model_gives_its_parameters_their_names(self) -> None:
        model = self.model({"w": 3.0, "b": 2.0})
        with gradtrace.trace(model, keep="all") as graph:
            self.polynomial(model["w"], model["b"])
        found = graph.graph["backend"]
        assert found == self.backend, f"the model was traced by {found!r}, not {self.backend!r}"
        for name, number in (("w", 3.0), ("b", 2.0)):
            assert name in graph, f"no node is named {name!r}:\n{graph}"
            data = graph.nodes[name]
            assert data["kind"] == "parameter", f"{name}: kind {data['kind']!r}, not parameter"
            assert elements(data["value"], name) == number, f"{name}: {data['value']}"

    def test_nodes_say_all_that_a_node_says(self) -> None:
        graph = self.traced(self.polynomial, *self.point())
        assert [data["order"] for data in graph.nodes.values()] == list(range(len(graph)))
        for node, data in graph.nodes(data=True):
            assert set(data) == NODE, f"{node}: its attributes are {sorted(data)}"
            assert data["kind"] in KINDS, f"{node}: kind {data['kind']!r} is none of {KINDS}"
            assert isinstance(data["value"], Summary), f"{node}: its value is no Summary"
            source = data["source"]
            assert source is None or isinstance(source, Source), f"{node}: source is {source!r}"
            made = data["kind"] == "call"
            assert bool(graph.in_degree(node)) == made, f"{node}: only calls have operands"
            assert bool(data["op"]) or not made, f"{node}: a call has the name of an operation"

    def test_edges_say_all_that_an_edge_says(self) -> None:
        graph = self.traced(self.polynomial, *self.point())
        for node in graph:
            keys = sorted(key for *_, key in graph.in_edges(node, keys=True))
            assert keys == list(range(len(keys))), f"{node}: its operands are numbered {keys}"
        for name, data in uses(graph):
            assert set(data) == EDGE, f"{name}: its attributes are {sorted(data)}"
            assert data["operand"], f"{name}: the operand has no name"
            derivative = data["local_derivative"]
            assert isinstance(derivative, LocalDerivative), f"{name}: {derivative!r} is no"
            assert derivative.structure in STRUCTURES, f"{name}: {derivative.structure!r}"
            assert isinstance(data["downstream_gradient"], Summary), f"{name}: no downstream"

    def test_shapes_fit_along_every_edge(self) -> None:
        graph = self.traced(self.polynomial, *self.point())
        for operand, result, data in graph.edges(data=True):
            name = f"{operand} → {result}"
            shapes = graph.nodes[result]["value"].shape, graph.nodes[operand]["value"].shape
            derivative, downstream = data["local_derivative"], data["downstream_gradient"]
            found = derivative.result_shape, derivative.operand_shape
            assert found == shapes, f"{name}: derivative of shape {found} between {shapes}"
            assert downstream.shape == shapes[1], f"{name}: downstream {downstream.shape}"

    def test_the_graph_is_that_of_the_program(self) -> None:
        graph = self.traced(self.polynomial, *self.point())
        expected = (2, 3, 6)
        found = (len(graph) - len(calls(graph)), len(calls(graph)), graph.number_of_edges())
        assert found == expected, f"leaves, calls, edges are {found}, not {expected}:\n{graph}"

    def test_values_flow_one_way(self) -> None:
        graph = self.traced(self.polynomial, *self.point())
        assert nx.is_directed_acyclic_graph(graph), f"the graph has a cycle:\n{graph}"
        for operand, result in graph.edges():
            orders = graph.nodes[operand]["order"], graph.nodes[result]["order"]
            assert orders[0] < orders[1], f"{operand} comes after {result}, which uses it"

    def test_ids_are_the_same_in_every_run(self) -> None:
        first, second = (self.traced(self.polynomial, *self.point()) for _ in range(2))
        assert list(first) == list(second), f"ids differ: {list(first)} and {list(second)}"
        assert not [node for node in first if ":" in node], f"an id has a colon: {list(first)}"

    def test_each_use_is_an_edge(self) -> None:
        graph = self.traced(self.polynomial, *self.point())
        x, square = node_of(graph, 3.0), node_of(graph, 9.0)
        found = graph.number_of_edges(x, square)
        assert found == 2, f"x·x uses x twice: two edges, not {found}"

    def test_what_is_not_used_is_not_there(self) -> None:
        unused = self.leaf(7.0)
        graph = self.traced(self.polynomial, *self.point())
        values = [elements(value, node).tolist() for node, value in graph.nodes(data="value")]
        assert self.read(unused).tolist() not in values, f"a leaf that no call used:\n{graph}"

    def test_parts_of_a_call_are_items(self) -> None:
        x = self.leaf([1.0, 2.0, 3.0, 4.0])
        graph = self.traced(self._with_halves, x)
        items = [node for node, kind in graph.nodes(data="kind") if kind == "item"]
        assert len(items) == 2, f"two halves are used, so there are two items:\n{graph}"
        for item, half in zip(items, ([1.0, 2.0], [3.0, 4.0]), strict=True):
            (call,) = graph.predecessors(item)
            several = graph.nodes[call]["value"]
            assert isinstance(several, tuple), f"{call}: its value is no tuple of summaries"
            assert elements(graph.nodes[item]["value"], item).tolist() == half
        gradient = elements(graph.nodes[node_of(graph, self.read(x))]["upstream_gradient"], "x")
        assert gradient.tolist() == [3.0, 4.0, 1.0, 2.0], f"the gradient of x is {gradient}"
        assert_sound(graph)

    def test_one_part_alone_is_one_item(self) -> None:
        x = self.leaf([1.0, 2.0, 3.0, 4.0])
        graph = self.traced(lambda: self.backward(self.total(self.halves(x)[1])))
        items = [node for node, kind in graph.nodes(data="kind") if kind == "item"]
        assert len(items) == 1, f"one half is used, so there is one item:\n{graph}"
        gradient = elements(graph.nodes[node_of(graph, self.read(x))]["upstream_gradient"], "x")
        assert gradient.tolist() == [0.0, 0.0, 1.0, 1.0], f"the gradient of x is {gradient}"

    def test_a_call_without_gradient_is_kept_where_it_matters(self) -> None:
        x, y = self.point()
        graph = self.traced(lambda: self.backward(self.multiply(y, self.compared(x))))
        flat = [node for node in calls(graph) if not graph.nodes[node]["differentiable"]]
        assert flat, f"the loss depends on a call without a gradient, which is missing:\n{graph}"
        for node in flat:
            upstream = parts(graph.nodes[node]["upstream_gradient"])
            assert not any(upstream), f"{node}: no gradient flows through it, so it has none"

    def test_a_call_without_gradient_is_left_out_where_it_does_not_matter(self) -> None:
        x, y = self.point()
        graph = self.traced(lambda: (self.compared(x), self.polynomial(x, y)))
        assert len(calls(graph)) == 3, f"the loss depends on 3 calls only:\n{graph}"

    def _with_halves(self, x: object) -> None:
        first, second = self.halves(x)
        self.backward(self.total(self.multiply(first, second)))
