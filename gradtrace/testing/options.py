"""Tests of the contract: whether a trace records as much as it was asked for."""

from __future__ import annotations

import math

from gradtrace.graph import Graph
from gradtrace.testing.framework import Framework
from gradtrace.testing.reading import assert_close, elements, node_of, parts, uses

__all__ = ["Options"]


class Options(Framework):
    """The options `keep`, `derivatives`, `detail` and `limit` do what they say."""

    def test_keep_summary_keeps_no_elements(self) -> None:
        graph = self.traced(self.polynomial, *self.point(), keep="summary")
        assert not _kept(graph), f"elements were kept of {_kept(graph)}"
        norms = sorted(value.norm for _, value in graph.nodes(data="value"))
        assert norms == [2.0, 3.0, 6.0, 9.0, 15.0], f"the norms of the values are {norms}"

    def test_keep_small_keeps_up_to_1024_elements(self) -> None:
        graph = self.traced(self.polynomial, *self.point(), keep="small")
        assert set(_kept(graph)) == set(graph), "scalars are small, all of them are kept"
        for size, kept in ((1024, True), (1025, False)):
            x, y = self.leaf([1.0] * size), self.leaf([2.0] * size)
            seed = [1.0] * size
            program = lambda a, b, s: self.backward_from(self.multiply(a, b), s)  # noqa: E731
            graph = self.traced(program, x, y, seed, keep="small")
            assert bool(_kept(graph)) == kept, f"of {size} elements, kept: {_kept(graph)}"

    def test_keep_all_keeps_every_element(self) -> None:
        graph = self.traced(self.polynomial, *self.point(), keep="all")
        assert set(_kept(graph)) == set(graph), f"only of {_kept(graph)} were elements kept"

    def test_gains_are_free_of_any_option(self) -> None:
        for derivatives in ("gain", "norm", "exact"):
            graph = self.traced(self.polynomial, *self.point(), derivatives=derivatives)
            gains = sorted(data["local_derivative"].gain for _, data in uses(graph))
            assert_close(gains, [1.0, 1.0, 2.0, 3.0, 3.0, 3.0], f"{derivatives}: the gains")

    def test_norms_are_there_where_asked_for(self) -> None:
        for derivatives in ("norm", "exact"):
            graph = self.traced(self.polynomial, *self.point(), derivatives=derivatives)
            for name, data in uses(graph):
                norm = data["local_derivative"].norm
                assert norm is not None, f"{name}: no norm with derivatives={derivatives!r}"
                assert math.isfinite(norm), f"{name}: its norm is {norm}"

    def test_exact_derivatives_are_exact(self) -> None:
        graph = self.traced(self.polynomial, *self.point())
        rough = [name for name, data in uses(graph) if not data["local_derivative"].exact]
        assert not rough, f"derivatives='exact', but those of {rough} are operators"

    def test_the_limit_is_kept_with_a_reason(self) -> None:
        x = self.leaf([1.0, 2.0, 3.0])
        program = lambda: self.backward(self.total(x))  # noqa: E731
        for limit, exact in ((3, True), (2, False)):
            ((_, data),) = uses(self.traced(program, limit=limit))
            derivative = data["local_derivative"]
            assert derivative.exact == exact, (
                f"a Jacobian of 3 elements with limit={limit} is recorded as {derivative!r}"
            )
            assert exact or derivative.reason, "it is left out without a reason"

    def test_every_detail_gives_the_same_gradients(self) -> None:
        for detail in ("call", "module", "primitive"):
            graph = self.traced(self.polynomial, *self.point(), detail=detail)
            check = graph.check()
            assert not check.failed, f"detail={detail!r}: {check}"
            for value, gradient in ((3.0, 8.0), (2.0, 3.0)):
                node = node_of(graph, value)
                found = elements(graph.nodes[node]["upstream_gradient"], node)
                assert_close(found, gradient, f"detail={detail!r}: the gradient of {node}")

    def test_a_forward_pass_alone_has_no_gradients(self) -> None:
        graph = self.traced(self.forward, *self.point())
        assert len(graph) == 5, f"5 nodes ran forward, these are recorded:\n{graph}"
        assert not graph.graph["gradients"], "no backward pass ran, but the graph says so"
        for node, data in graph.nodes(data=True):
            gradients = [*parts(data["upstream_gradient"]), data["seed"]]
            assert gradients == [None, None], f"{node}: it has a gradient, of no backward pass"
        for name, data in uses(graph):
            assert data["downstream_gradient"] is None, f"{name}: it has a downstream gradient"
            derivative = data["local_derivative"]
            assert derivative.exact, f"{name}: its derivative belongs to the forward pass"
            assert derivative.gain is None, f"{name}: a gain without a backward pass"
        assert len(graph.check().unverifiable) == len(graph)


def _kept(graph: Graph) -> list[str]:
    """Return the nodes with elements of the value or the gradient."""
    return [
        node
        for node, data in graph.nodes(data=True)
        if any(
            part is not None and part.array is not None
            for part in (*parts(data["value"]), *parts(data["upstream_gradient"]))
        )
    ]
