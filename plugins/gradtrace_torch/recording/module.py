"""One module that is followed: the hooks on it, and on the autograd nodes of its calls."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, is_grad_enabled, nn
from torch._C import DisableTorchFunction, _current_graph_task_id
from torch._C._functorch import peek_interpreter_stack
from torch.compiler import is_compiling, is_dynamo_compiling

from gradtrace.recording.observer import ENDS, LARGE
from gradtrace.recording.sample import Series
from gradtrace_torch.arguments import tensors_in
from gradtrace_torch.compiled import COMPILED, QuickModule
from gradtrace_torch.edges import node_of
from gradtrace_torch.recording.reductions import unsaturated
from gradtrace_torch.recording.uses import Edge, Share, Way, edges_of, uses_of

if TYPE_CHECKING:
    from gradtrace_torch.recording.calls import Calls

__all__ = ["Module"]


class Module(QuickModule):
    """One module, with what its hooks need to know."""

    def __init__(self, calls: Calls, module: nn.Module, name: str) -> None:
        builtin = type(module).__module__.startswith("torch.nn.modules.")
        op = _op_of(type(module).__name__) if builtin else None
        writes = getattr(module, "inplace", False)
        plain = builtin and not writes and not list(module.children())
        self.ends = ENDS.get(op or "")
        super().__init__(calls, *unsaturated(self.ends), plain=plain)
        self._calls = calls
        self._name = name
        self._series = lambda quantity: Series(name, quantity, "module", op, name, "parts")

    def enter(
        self, module: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any]
    ) -> None:
        """Remember what the call is given: it may write to it in place."""
        if not is_compiling() and self._calls.on:
            number = torch._C._autograd._get_sequence_nr()
            with DisableTorchFunction():
                given = _given(arguments, keywords) if _is_differentiated() else []
            self._calls.begun.append((self, number, given))

    def leave(
        self, module: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any], output: Any
    ) -> None:
        """Measure the output, and have the gradients measured as they come."""
        if is_dynamo_compiling():
            return
        if keywords or not self.follow(arguments, output):
            with DisableTorchFunction():
                self._leave(arguments, keywords, output)

    def _leave(self, arguments: tuple[Any, ...], keywords: dict[str, Any], output: Any) -> None:
        calls = self._calls
        if not calls.on or is_compiling():
            return
        begun = None if self.is_plain else self.began()
        if not _is_differentiated():
            return
        if calls.expectant and _current_graph_task_id() == -1:
            calls.begin()
        outputs = [output] if type(output) is Tensor else _tensors(output)
        if not calls.large and any(each.numel() > LARGE for each in outputs):
            return
        if self.output_slot < 0:
            self.take_slots(*calls.slots(self._name, self._series))
        for tensor in outputs:
            calls.put(self, tensor)
        since, given = begun or (0, _given(arguments, keywords))
        self._listen(given, outputs, since)

    def began(self) -> tuple[int, list[Edge]] | None:
        """Return how many autograd nodes there were before the call that ends, and what it had."""
        while self._calls.begun:
            call, number, given = self._calls.begun.pop()
            if call is self:
                return number, given
        return None

    def _listen(self, given: list[Edge], outputs: list[Tensor], since: int) -> None:
        """Put hooks where the gradients of the call come and where they go.

        A tensor that it hands on has the gradient of all that use it, not only of those that have
        it from this call: it is left out beside what the call makes, and is all that there is where
        it makes nothing.
        """
        results: list[Edge] = [(t.grad_fn, t.output_nr) for t in outputs if node_of(t) is not None]
        results = [each for each in results if each not in given] or results
        uses = uses_of(results, given, since)
        shares = {edge: Share(self._passed, len(places)) for edge, places in uses.items()}
        heard: dict[Any, list[tuple[int, Share]]] = {}
        for edge, places in uses.items():
            for node, slot in places:
                heard.setdefault(node, []).append((slot, shares[edge]))
        for node, listening in heard.items():
            node.register_hook(_listener(listening))
        for result in dict.fromkeys(results):
            node, number = result
            node.register_prehook(self._arrival(number, through=result in given))
        if COMPILED and self.is_plain and len(uses) == len(results) == 1:
            (edge, places), (node, number) = next(iter(uses.items())), results[0]
            self.suppose(Way.between(edge, node) if len(places) == 1 and not number else None)

    def _passed(self, gradient: Tensor | None) -> None:
        self._calls.arrived(self.downstream_slot, gradient)

    def _arrival(self, number: int, *, through: bool) -> Callable[[tuple[Any, ...]], None]:
        def hook(gradients: tuple[Any, ...]) -> None:
            self._calls.arrived(self.upstream_slot, gradients[number])
            if through:  # the module returned what it was given
                self._calls.arrived(self.downstream_slot, gradients[number])

        return hook


def _listener(
    places: list[tuple[int, Share]],
) -> Callable[[tuple[Any, ...], tuple[Any, ...]], None]:
    def hook(downstream: tuple[Any, ...], upstream: tuple[Any, ...]) -> None:
        for slot, share in places:
            share.add(downstream[slot])

    return hook


def _is_differentiated() -> bool:
    """Tell whether a call is now: inside of a transform, as vmap, there are no elements to read."""
    return is_grad_enabled() and peek_interpreter_stack() is None


def _given(arguments: Any, keywords: Any) -> list[Edge]:
    """Return where the gradients of what a call is given arrive, if any do."""
    return edges_of(_tensors(arguments) + (_tensors(keywords) if keywords else []))


def _tensors(value: Any) -> list[Tensor]:
    return [tensor for _, tensor in tensors_in(value)]


def _op_of(name: str) -> str:
    """Return what the framework calls the operation of a module class, such as `leaky_relu`.

    >>> [_op_of(name) for name in ("LeakyReLU", "Conv2d", "LayerNorm", "GELU", "PReLU", "LSTM")]
    ['leaky_relu', 'conv2d', 'layer_norm', 'gelu', 'prelu', 'lstm']
    """
    words = re.findall(r"[A-Z]+[a-z]*LU\d?|[A-Z][a-z]+\d?d?|[A-Z]+(?![a-z])\d?|\d+d?", name)
    return "_".join(words or [name]).lower()
