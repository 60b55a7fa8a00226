"""Tests of the contract: whether values, gradients and local derivatives are right."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradtrace.graph import Graph
from gradtrace.testing.framework import Framework
from gradtrace.testing.reading import assert_close, assert_sound, elements, node_of, uses

__all__ = ["Numbers"]

UPSTREAM = {3.0: 8.0, 2.0: 3.0, 9.0: 1.0, 6.0: 1.0, 15.0: 1.0}
"""The upstream gradient at each value of x·x + x·y, where x = 3 and y = 2."""

FACTORS = {
    (3.0, 9.0): [3.0, 3.0],
    (3.0, 6.0): [2.0],
    (2.0, 6.0): [3.0],
    (9.0, 15.0): [1.0],
    (6.0, 15.0): [1.0],
}
"""The local derivatives between these values, by operand and result."""


class Numbers(Framework):
    """Every number is what calculus says."""

    def test_values_are_those_of_the_program(self) -> None:
        x, y = self.point()
        loss = []
        graph = self.traced(lambda: loss.append(self.polynomial(x, y)))
        found = sorted(float(elements(value, node)) for node, value in graph.nodes(data="value"))
        assert found == sorted(UPSTREAM), f"the values are {found}, not {sorted(UPSTREAM)}"
        assert_close(self.read(loss[0]), 15.0, "the loss that the program gets")

    def test_upstream_gradients_are_summed_over_uses(self) -> None:
        graph = self.traced(self.polynomial, *self.point())
        for value, gradient in UPSTREAM.items():
            node = node_of(graph, value)
            found = elements(graph.nodes[node]["upstream_gradient"], f"{node}: its gradient")
            assert_close(found, gradient, f"the upstream gradient of {node}")

    def test_each_edge_has_its_own_factor_and_share(self) -> None:
        graph = self.traced(self.polynomial, *self.point())
        for (operand, result), factors in FACTORS.items():
            nodes = node_of(graph, operand), node_of(graph, result)
            edges = list((graph.get_edge_data(*nodes) or {}).values())
            name = " → ".join(nodes)
            local = [float(edge["local_derivative"].dense()) for edge in edges]
            assert local == factors, f"{name}: its local derivatives are {local}, not {factors}"
            share = [float(elements(edge["downstream_gradient"], name)) for edge in edges]
            assert share == factors, f"{name}: its downstream gradients are {share}"

    def test_the_output_has_its_seed(self) -> None:
        graph = self.traced(self.polynomial, *self.point())
        seeds = {node: seed for node, seed in graph.nodes(data="seed") if seed is not None}
        output = node_of(graph, 15.0)
        assert set(seeds) == {output}, f"the pass began at {output} alone, not {list(seeds)}"
        assert_close(elements(seeds[output], "the seed"), 1.0, "the seed of a scalar")

    def test_a_seed_that_is_given_is_the_upstream_gradient(self) -> None:
        x, y = self.leaf([1.0, 2.0, 3.0]), self.leaf([4.0, 5.0, 6.0])
        seed = [1.0, 10.0, 100.0]
        graph = self.traced(lambda: self.backward_from(self.multiply(x, y), seed))
        data = graph.nodes[node_of(graph, [4.0, 10.0, 18.0])]
        assert_close(elements(data["seed"], "the seed"), seed, "the seed")
        self._assert_gradient(graph, x, [4.0, 50.0, 600.0])
        self._assert_gradient(graph, y, [1.0, 20.0, 300.0])
        assert_sound(graph)

    def test_the_chain_rule_holds_at_every_node(self) -> None:
        assert_sound(self.traced(self.polynomial, *self.point()))

    def test_gains_are_ratios_of_norms(self) -> None:
        graph = self.traced(self.polynomial, *self.point())
        for _, result, data in graph.edges(data=True):
            before = graph.nodes[result]["upstream_gradient"].norm
            after, gain = data["downstream_gradient"].norm, data["local_derivative"].gain
            assert gain is not None, f"{result}: no gain, though a backward pass ran"
            assert_close(gain, after / before, f"the gain of {data['operand']} of {result}")

    def test_the_gradients_are_those_that_the_user_gets(self) -> None:
        x, y = self.point()
        graph = self.traced(self.polynomial, x, y)
        self._assert_gradient(graph, x, self.gradient(x))
        self._assert_gradient(graph, y, self.gradient(y))

    def test_an_earlier_gradient_is_not_counted_again(self) -> None:
        x, y = self.point()
        self.polynomial(x, y)
        graph = self.traced(self.polynomial, x, y)
        self._assert_gradient(graph, x, 8.0)
        assert_close(self.gradient(x), 16.0, "the gradient that two passes leave on x")

    def test_gradients_of_several_passes_add_up(self) -> None:
        def program() -> None:
            self.polynomial(x, y)
            self.backward(self.multiply(x, x))

        x, y = self.point()
        graph = self.traced(program)
        seeds = [node for node, seed in graph.nodes(data="seed") if seed is not None]
        assert len(seeds) == 2, f"two passes began in the block, not at {seeds}"
        self._assert_gradient(graph, x, 14.0)
        self._assert_gradient(graph, y, 3.0)
        assert_sound(graph)

    def test_jacobians_of_vectors_are_exact(self) -> None:
        x, y = self.leaf([1.0, 2.0, 3.0]), self.leaf([4.0, 5.0, 6.0])
        graph = self.traced(lambda: self.backward(self.total(self.multiply(x, y))))
        product, total = node_of(graph, [4.0, 10.0, 18.0]), node_of(graph, 32.0)
        expected = {
            (node_of(graph, [1.0, 2.0, 3.0]), product): np.diag([4.0, 5.0, 6.0]),
            (node_of(graph, [4.0, 5.0, 6.0]), product): np.diag([1.0, 2.0, 3.0]),
            (product, total): np.ones(3),
        }
        for (operand, result), jacobian in expected.items():
            derivative = graph.edges[operand, result, _key(graph, operand, result)][
                "local_derivative"
            ]
            name = f"∂{result}/∂{operand}"
            assert_close(derivative.dense(), jacobian, name)
            assert_close(derivative.norm, np.linalg.norm(jacobian), f"the norm of {name}")
        assert_sound(graph)

    def test_structures_are_the_cheapest_true_ones(self) -> None:
        x, y = self.leaf([1.0, 2.0, 3.0]), self.leaf([4.0, 5.0, 6.0])
        graph = self.traced(lambda: self.backward(self.total(self.add(x, self.multiply(x, y)))))
        found = {name: data["local_derivative"].structure for name, data in uses(graph)}
        counts = {kind: list(found.values()).count(kind) for kind in found.values()}
        expected = {"identity": 2, "diagonal": 2, "dense": 1}
        assert counts == expected, f"the structures are {found}; {expected} are the cheapest"

    def _assert_gradient(self, graph: Graph, leaf: Any, expected: Any) -> None:
        node = node_of(graph, self.read(leaf))
        found = elements(graph.nodes[node]["upstream_gradient"], f"{node}: its upstream gradient")
        assert_close(found, expected, f"the upstream gradient of {node}")


def _key(graph: Graph, operand: str, result: str) -> int:
    keys = list(graph.get_edge_data(operand, result) or {})
    assert len(keys) == 1, f"there are {len(keys)} edges from {operand} to {result}, not 1"
    return int(keys[0])
