"""One module that is followed: the hooks on it, and on the autograd nodes of its calls."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch._C._functorch import peek_interpreter_stack

from gradtrace.recording.observer import ENDS, LARGE
from gradtrace.recording.sample import Series
from gradtrace_torch.arguments import tensors_in
from gradtrace_torch.edges import edge_of, node_of
from gradtrace_torch.recording.together import SMALL
from gradtrace_torch.recording.uses import Edge, Share, Way, uses_of

if TYPE_CHECKING:
    from gradtrace_torch.recording.calls import Calls

__all__ = ["Module"]


class Module:
    """One module, with what its hooks need to know."""

    def __init__(self, calls: Calls, module: nn.Module, name: str) -> None:
        builtin = type(module).__module__.startswith("torch.nn.modules.")
        op = _op_of(type(module).__name__) if builtin else None
        self.is_plain = builtin and not list(module.children())
        """Whether it reads nothing but its arguments and parameters."""
        self.ends = ENDS.get(op or "")
        self.hurries: bool | None = None
        """Whether its outputs are overwritten later in the step; None until that is known."""
        self.output_slot = self._upstream_slot = self._downstream_slot = -1
        self._calls = calls
        self._name = name
        self._series = lambda quantity: Series(name, quantity, "module", op, name, "parts")
        self._way: Way | None = None

    def enter(self, module: nn.Module, arguments: tuple[Any, ...]) -> None:
        """Remember how many autograd nodes there are before the call."""
        if not torch.compiler.is_compiling() and self._calls.on:
            self._calls.since.append((self, torch._C._autograd._get_sequence_nr()))

    def leave(
        self, module: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any], output: Any
    ) -> None:
        """Measure the output, and have the gradients measured as they come."""
        if not self._calls.on or torch.compiler.is_compiling():
            return
        if peek_interpreter_stack() is not None:
            return  # inside of a transform, such as vmap, there are no elements to read
        since = 0 if self.is_plain else self._began()
        if torch.is_grad_enabled():
            with torch._C.DisableTorchFunction():
                if self._calls.expectant and torch._C._current_graph_task_id() == -1:
                    self._calls.begin()
                self._leave(arguments, keywords, output, since)

    def _began(self) -> int:
        while self._calls.since:
            call, number = self._calls.since.pop()
            if call is self:
                return number
        return 0

    def _leave(self, arguments: Any, keywords: dict[str, Any], output: Any, since: int) -> None:
        if self.output_slot < 0:
            slots = self._calls.slots(self._name, self._series)
            self.output_slot, self._upstream_slot, self._downstream_slot = slots
        outputs = [output] if isinstance(output, Tensor) else _tensors(output)
        if not self._calls.large and any(map(_is_large, outputs)):
            return
        for tensor in outputs:
            if tensor.is_floating_point() or tensor.is_complex():
                self._calls.put(self, tensor)
        if not self._knows_the_way(arguments, keywords, output):
            results = [(t.grad_fn, t.output_nr) for t in outputs if node_of(t) is not None]
            if results:
                inputs = _tensors(arguments) + (_tensors(keywords) if keywords else [])
                self._expect(results, inputs, outputs, since)

    def _knows_the_way(self, arguments: Any, keywords: Any, output: Any) -> bool:
        """Put hooks where they were needed last time, if that is where they are needed."""
        way = self._way
        if way is None or keywords or len(arguments) != 1 or type(output) is not Tensor:
            return False
        node, given = node_of(output), arguments[0]
        if node is None or output.output_nr or type(given) is not Tensor or node_of(given) is None:
            return False
        user = way.end(node, given)
        if user is None or given is output:
            return False
        if way.core_slot >= 0 and (user is node or output.numel() <= SMALL):
            way.core(node).register_hook(self._passed_through)
        else:
            node.register_prehook(self._came)
            user.register_hook(self._went)
        return True

    def _came(self, upstream: tuple[Any, ...]) -> None:
        if upstream[0] is not None and self._calls.on:
            self._calls.arrived(self._upstream_slot, upstream[0])

    def _went(self, downstream: tuple[Any, ...], upstream: tuple[Any, ...]) -> None:
        assert self._way is not None
        self._passed(downstream[self._way.slot])

    def _passed_through(self, downstream: tuple[Any, ...], upstream: tuple[Any, ...]) -> None:
        assert self._way is not None
        self._came(upstream)
        self._passed(downstream[self._way.core_slot])

    def _expect(
        self, results: list[Edge], inputs: list[Tensor], outputs: list[Tensor], since: int
    ) -> None:
        uses = uses_of(results, inputs, outputs, since)
        shares = {edge: Share(self._passed, len(places)) for edge, places in uses.items()}
        heard: dict[Any, list[tuple[int, Share]]] = {}
        for edge, places in uses.items():
            for node, slot in places:
                heard.setdefault(node, []).append((slot, shares[edge]))
        for node, listening in heard.items():
            node.register_hook(_listener(listening))
        for result in dict.fromkeys(results):
            node, number = result
            through = node not in heard and any(result == edge_of(each) for each in inputs)
            node.register_prehook(self._arrival(number, through=through))
        if self.is_plain and len(uses) == len(results) == 1:
            (edge, places), (node, number) = next(iter(uses.items())), results[0]
            self._way = Way.between(edge, node) if len(places) == 1 and not number else None

    def _arrival(self, number: int, *, through: bool) -> Callable[[tuple[Any, ...]], None]:
        def hook(gradients: tuple[Any, ...]) -> None:
            gradient = gradients[number]
            if gradient is None or not self._calls.on:
                return
            self._calls.arrived(self._upstream_slot, gradient)
            if through:  # the module returned what it was given
                self._calls.arrived(self._downstream_slot, gradient)

        return hook

    def _passed(self, gradient: Tensor | None) -> None:
        if gradient is not None and self._calls.on:
            self._calls.arrived(self._downstream_slot, gradient)


def _listener(
    places: list[tuple[int, Share]],
) -> Callable[[tuple[Any, ...], tuple[Any, ...]], None]:
    def hook(downstream: tuple[Any, ...], upstream: tuple[Any, ...]) -> None:
        for slot, share in places:
            share.add(downstream[slot])

    return hook


def _is_large(tensor: Tensor) -> bool:
    return tensor.numel() > LARGE


def _tensors(value: Any) -> list[Tensor]:
    return [tensor for _, tensor in tensors_in(value)]


def _op_of(name: str) -> str:
    """Return what the framework calls the operation of a module class, such as `leaky_relu`.

    >>> [_op_of(name) for name in ("LeakyReLU", "Conv2d", "LayerNorm", "GELU", "PReLU", "LSTM")]
    ['leaky_relu', 'conv2d', 'layer_norm', 'gelu', 'prelu', 'lstm']
    """
    words = re.findall(r"[A-Z]+[a-z]*LU\d?|[A-Z][a-z]+\d?d?|[A-Z]+(?![a-z])\d?|\d+d?", name)
    return "_".join(words or [name]).lower()
