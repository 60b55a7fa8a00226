"""What is measured at each module: its output, the gradient there, the gradient it passes back."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node

from gradtrace.recording.ledger import Layout, Page, Row
from gradtrace.recording.sample import Series
from gradtrace_torch.modules import tensors_in
from gradtrace_torch.recording.passes import Passes
from gradtrace_torch.recording.reductions import Ends, measure

__all__ = ["Calls"]

ENDS: dict[str, tuple[float, float]] = {
    "sigmoid": (0, 1),
    "hardsigmoid": (0, 1),
    "softmax": (0, 1),
    "tanh": (-1, 1),
    "softsign": (-1, 1),
}
"""Operations that saturate, with the ends of what they give."""

Edge = tuple[Node, int]


class Calls:
    """Follows the modules of a model from call to call."""

    def __init__(self, layout: Layout, passes: Passes, working: Callable[[], None]) -> None:
        self.page = Page()
        self.on = True
        self.since: list[tuple[object, int]] = []
        """For each call that runs, how many autograd nodes there were before it."""
        self._layout = layout
        self._passes = passes
        self._working = working
        self._seen: tuple[Tensor, int, Row | None] | None = None
        self._came: tuple[Tensor, Row | None] | None = None
        self._forward: set[str] = set()
        """Modules of which an output was measured outside a backward pass."""

    def follow(self, module: nn.Module, name: str) -> Iterator[Any]:
        """Put hooks on `module`; yield their handles."""
        call = _Module(self, module, name)
        if not call.is_plain:
            yield module.register_forward_pre_hook(call.enter)
        yield module.register_forward_hook(call.leave, with_kwargs=True)

    def slots(self, series: Callable[[str], Series]) -> tuple[int, int, int]:
        """Return the slots of output, upstream and downstream gradient."""
        quantities = ("output", "upstream gradient", "downstream gradient")
        output, upstream, downstream = (self._layout.slot(series(name)) for name in quantities)
        return output, upstream, downstream

    def turn(self) -> Page:
        """Return the page that was written, and begin another."""
        page, self.page = self.page, Page()
        self._forward.clear()
        self.since.clear()
        self.rest()
        return page

    def rest(self) -> None:
        """Let go of the tensors that were measured last."""
        self._seen = self._came = None

    def put(self, name: str, slot: int, output: Tensor, ends: Ends) -> None:
        """Measure an output, unless a checkpoint computes again what was measured before."""
        self._layout.meet(name)
        if torch._C._current_graph_task_id() == -1:
            self._working()
            self._forward.add(name)
        elif name in self._forward:
            return
        seen = self._seen
        if seen is not None and seen[0] is output and seen[1] == output._version and ends is None:
            row = seen[2]
        else:
            row = measure(output, zeros=True, ends=ends)
            self._seen = (output, output._version, row)
        if row is not None:
            self.page.rows.append((slot, row))

    def arrived(self, slot: int, gradient: Tensor) -> None:
        """Measure a gradient, of which the next one to arrive may be the same tensor."""
        came = self._came
        if came is not None and came[0] is gradient:
            row = came[1]
        else:
            row = measure(gradient)
            self._came = (gradient, row)
        if row is not None:
            self._passes.rows().append((slot, row))


class _Module:
    """One module, with what its hooks need to know."""

    def __init__(self, calls: Calls, module: nn.Module, name: str) -> None:
        builtin = type(module).__module__.startswith("torch.nn.modules.")
        op = _op_of(type(module).__name__) if builtin else None
        self.is_plain = builtin and not list(module.children())
        """Whether it reads nothing but its arguments and parameters."""
        self._calls = calls
        self._name = name
        self._ends = ENDS.get(op or "")
        self._series = lambda quantity: Series(name, quantity, "module", op, name, "parts")
        self._slots: tuple[int, int, int] | None = None

    def enter(self, module: nn.Module, arguments: tuple[Any, ...]) -> None:
        """Remember how many autograd nodes there are before the call."""
        if not torch.compiler.is_compiling() and self._calls.on:
            self._calls.since.append((self, torch._C._autograd._get_sequence_nr()))

    def leave(
        self, module: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any], output: Any
    ) -> None:
        """Measure the output, and have the gradients measured as they come."""
        if torch.compiler.is_compiling():
            return
        since = 0
        while not self.is_plain and self._calls.since and since == 0:
            call, number = self._calls.since.pop()
            since = number if call is self else 0
        if not self._calls.on or not torch.is_grad_enabled():
            return
        with torch._C.DisableTorchFunction():
            self._leave(arguments, keywords, output, since)

    def _leave(self, arguments: Any, keywords: dict[str, Any], output: Any, since: int) -> None:
        outputs = [output] if isinstance(output, Tensor) else _tensors(output)
        if self._slots is None:
            self._slots = self._calls.slots(self._series)
        results: list[Edge] = []
        for tensor in outputs:
            if tensor.is_floating_point() or tensor.is_complex():
                self._calls.put(self._name, self._slots[0], tensor, self._ends)
            node = tensor.grad_fn
            if node is not None:
                results.append((node, tensor.output_nr))
        if results:
            inputs = _tensors(arguments) + (_tensors(keywords) if keywords else [])
            self._expect(results, inputs, outputs, since)

    def _expect(
        self, results: list[Edge], inputs: list[Tensor], outputs: list[Tensor], since: int
    ) -> None:
        uses = _uses(results, inputs, outputs, since)
        shares = {edge: _Share(self._passed, len(places)) for edge, places in uses.items()}
        heard: dict[Node, list[tuple[int, _Share]]] = {}
        for edge, places in uses.items():
            for node, slot in places:
                heard.setdefault(node, []).append((slot, shares[edge]))
        for node, places in heard.items():
            node.register_hook(_listener(places))
        for edge in dict.fromkeys(results):
            node, number = edge
            through = any(edge == _edge_of(tensor) for tensor in inputs)
            node.register_prehook(self._arrival(number, through=through and edge not in uses))

    def _arrival(self, number: int, *, through: bool) -> Callable[[tuple[Any, ...]], None]:
        def hook(gradients: tuple[Any, ...]) -> None:
            gradient = gradients[number]
            if gradient is None or not self._calls.on or self._slots is None:
                return
            with torch._C.DisableTorchFunction():
                self._calls.arrived(self._slots[1], gradient)
                if through:  # the module returned what it was given
                    self._calls.arrived(self._slots[2], gradient)

        return hook

    def _passed(self, gradient: Tensor) -> None:
        if self._calls.on and self._slots is not None:
            with torch._C.DisableTorchFunction():
                self._calls.arrived(self._slots[2], gradient)


class _Share:
    """The gradient that a module passes back to one input, through all its uses of it."""

    def __init__(self, done: Callable[[Tensor], None], uses: int) -> None:
        self._done = done
        self._uses = uses
        self._left = uses
        self._sum: Tensor | None = None

    def add(self, gradient: Tensor | None) -> None:
        """Take the share of one use."""
        self._left -= 1
        if gradient is not None:
            self._sum = gradient if self._sum is None else self._sum + gradient
        if self._left == 0:
            total, self._sum, self._left = self._sum, None, self._uses
            if total is not None:
                self._done(total)


def _listener(
    places: list[tuple[int, _Share]],
) -> Callable[[tuple[Any, ...], tuple[Any, ...]], None]:
    def hook(downstream: tuple[Any, ...], upstream: tuple[Any, ...]) -> None:
        for slot, share in places:
            share.add(downstream[slot])

    return hook


def _uses(
    results: list[Edge], inputs: list[Tensor], outputs: list[Tensor], since: int
) -> dict[Edge, list[Edge]]:
    """Return for each input the autograd nodes of the call that use it, with the operand."""
    edges: dict[Edge, list[Edge]] = {}
    oldest = since
    for tensor in inputs:
        if any(tensor is output for output in outputs) and tensor._version:
            node = tensor.grad_fn  # written in place: what it was before is what the node used
            if node is not None and node._sequence_nr() >= since:
                return {
                    edge: [(node, slot)]
                    for slot, edge in enumerate(node.next_functions)
                    if edge[0] is not None and edge[0].name() != "torch::autograd::AccumulateGrad"
                }
        edge = _edge_of(tensor)
        if edge is not None:
            edges[edge] = []
    if not since and edges:
        known = [edge[0]._sequence_nr() for edge in edges if edge[0].next_functions]
        oldest = min(known, default=0)
    pending = [node for node, number in results if (node, number) not in edges]
    met = set(pending)
    while pending and edges:
        node = pending.pop()
        for slot, edge in enumerate(node.next_functions):
            if edge in edges:
                edges[edge].append((node, slot))
            elif edge[0] is not None and edge[0] not in met and edge[0]._sequence_nr() >= oldest:
                met.add(edge[0])
                pending.append(edge[0])
    return {edge: places for edge, places in edges.items() if places}


def _edge_of(tensor: Tensor) -> Edge | None:
    if tensor.grad_fn is not None:
        return tensor.grad_fn, tensor.output_nr
    if tensor.requires_grad:
        edge = torch.autograd.graph.get_gradient_edge(tensor)
        return edge.node, edge.output_nr
    return None


def _tensors(value: Any) -> list[Tensor]:
    return [tensor for _, tensor in tensors_in(value)]


def _op_of(name: str) -> str:
    """Return what the framework calls the operation of a module class, such as `leaky_relu`.

    >>> [_op_of(name) for name in ("LeakyReLU", "Conv2d", "LayerNorm", "GELU", "PReLU", "LSTM")]
    ['leaky_relu', 'conv2d', 'layer_norm', 'gelu', 'prelu', 'lstm']
    """
    words = re.findall(r"[A-Z]+[a-z]*LU\d?|[A-Z][a-z]+\d?d?|[A-Z]+(?![a-z])\d?|\d+d?", name)
    return "_".join(words or [name]).lower()
