"""Tests of the contract: what a trace leaves behind, which is a graph and nothing else."""

from __future__ import annotations

import gc
import tempfile
import weakref
from pathlib import Path
from typing import Any

import numpy as np

import gradtrace
from gradtrace.facts import records
from gradtrace.graph import Graph
from gradtrace.render import figure
from gradtrace.testing.framework import Framework
from gradtrace.testing.reading import assert_close, assert_sound, calls, elements, node_of

__all__ = ["Aftermath"]


class _StopError(Exception):
    """Raised by the program itself."""


class Aftermath(Framework):
    """A trace changes nothing of the run; the graph stays what it is."""

    def test_the_run_is_the_same_without_the_trace(self) -> None:
        plain, traced = self.point(), self.point()
        loss = self.read(self.polynomial(*plain))
        found: list[Any] = []
        self.traced(lambda: found.append(self.polynomial(*traced)))
        assert np.array_equal(self.read(found[0]), loss), "the loss is another in a trace"
        for left, right in zip(plain, traced, strict=True):
            same = np.array_equal(self.read(left), self.read(right))
            assert same, "the trace changes a leaf"
            gradients = self.gradient(left), self.gradient(right)
            assert np.array_equal(*gradients), f"the trace changes a gradient: {gradients}"

    def test_random_numbers_are_the_same_without_the_trace(self) -> None:
        def program() -> None:
            drawn.append(self.chance())
            self.polynomial(*self.point())

        for derivatives in ("gain", "norm", "exact"):
            drawn: list[float] = []
            self.reseed()
            program()
            drawn.append(self.chance())
            self.reseed()
            self.traced(program, derivatives=derivatives)
            drawn.append(self.chance())
            same = drawn[:2] == drawn[2:]
            assert same, f"derivatives={derivatives!r}: the trace draws random numbers: {drawn}"

    def test_an_exception_in_the_block_goes_through(self) -> None:
        x, _ = self.point()
        try:
            graph = self.traced(self._stopping, x)
        except _StopError:
            return
        raise AssertionError(f"the user's exception was swallowed:\n{graph}")

    def test_an_exception_leaves_the_graph_of_what_ran(self) -> None:
        x, _ = self.point()
        try:
            with gradtrace.trace(backend=self.backend, keep="all") as graph:
                self._stopping(x)
        except _StopError:
            pass
        assert len(calls(graph)) == 1, f"one call ran before the exception:\n{graph}"
        assert not graph.check().failed

    def test_the_trace_after_an_exception_is_whole(self) -> None:
        self.test_an_exception_leaves_the_graph_of_what_ran()
        graph = self.traced(self.polynomial, *self.point())
        assert len(graph) == 5, f"the next trace is not that of its program:\n{graph}"
        assert_sound(graph)

    def test_what_runs_after_the_block_is_not_recorded(self) -> None:
        x, y = self.point()
        graph = self.traced(self.polynomial, x, y)
        self.polynomial(x, y)
        assert len(graph) == 5, f"the graph grew after its block:\n{graph}"
        found = elements(graph.nodes[node_of(graph, 3.0)]["upstream_gradient"], "x")
        assert_close(found, 8.0, "the upstream gradient of x")

    def test_a_value_made_before_the_block_has_its_gradient(self) -> None:
        x, y = self.point()
        product = self.multiply(x, y)
        graph = self.traced(lambda: self.backward(self.add(product, product)))
        node = node_of(graph, 6.0)
        assert_close(elements(graph.nodes[node]["upstream_gradient"], node), 2.0, "its gradient")
        assert_sound(graph)

    def test_writing_in_place_after_the_block_changes_no_graph(self) -> None:
        x, y = self.point()
        graph = self.traced(self.polynomial, x, y)
        self.fill(x, -7.0)
        node_of(graph, 3.0)
        assert_sound(graph)

    def test_the_graph_keeps_nothing_of_the_user_alive(self) -> None:
        graph, watched = self._watched()
        assert len(graph) == 5, f"the graph is not that of its program:\n{graph}"
        gc.collect()
        alive = [reference() for reference in watched if reference() is not None]
        assert not alive, "the graph holds on to values of the user, long after the run"

    def test_a_saved_graph_is_the_same_when_loaded(self) -> None:
        graph = self.traced(self.polynomial, *self.point())
        with tempfile.TemporaryDirectory() as folder:
            loaded = gradtrace.load(graph.save(Path(folder) / "run.gradtrace"))
        assert records(loaded) == records(graph), f"saved:\n{graph}\nloaded:\n{loaded}"
        for node, value in graph.nodes(data="value"):
            same = loaded.nodes[node]["value"]
            assert_close(elements(same, node), elements(value, node), f"the value of {node}")

    def test_the_graph_reads_as_text(self) -> None:
        graph = self.traced(self.polynomial, *self.point())
        lines = str(graph).splitlines()
        assert f"by {self.backend}" in lines[0], f"the first line names the backend: {lines[0]}"
        missing = [node for node in graph if not any(node in line for line in lines[2:])]
        assert not missing, f"no line for {missing} in:\n{graph}"

    def test_the_graph_can_be_drawn(self) -> None:
        graph = self.traced(self.polynomial, *self.point())
        drawn = {box.node for box in figure(graph).nodes}
        assert drawn == set(graph), f"of {list(graph)}, the figure shows {sorted(map(str, drawn))}"

    def _stopping(self, x: Any) -> None:
        self.multiply(x, x)
        raise _StopError

    def _watched(self) -> tuple[Graph, list[weakref.ref[Any]]]:
        """Return a graph, with references to leaves that nobody holds any more."""
        x, y = self.point()
        graph = self.traced(self.polynomial, x, y)
        try:
            return graph, [weakref.ref(x), weakref.ref(y)]
        except TypeError:
            self.cannot("weak references to its values")
