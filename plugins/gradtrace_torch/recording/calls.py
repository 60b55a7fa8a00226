"""What is measured at each module: its output, the gradient there, the gradient it passes back."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch._C._functorch import peek_interpreter_stack

from gradtrace.recording.ledger import Layout, Page, Row
from gradtrace.recording.observer import ENDS, LARGE
from gradtrace.recording.sample import Series
from gradtrace_torch.arguments import tensors_in
from gradtrace_torch.recording.afar import Streams
from gradtrace_torch.recording.hooks import Hook
from gradtrace_torch.recording.passes import Passes
from gradtrace_torch.recording.reductions import measure
from gradtrace_torch.recording.together import SMALL, is_small, measure_together
from gradtrace_torch.recording.uses import (
    Edge,
    Path,
    Share,
    core_of,
    edge_of,
    follow,
    node_at,
    path_to,
    uses_of,
)

__all__ = ["Calls"]


class Calls:
    """Follows the modules of a model from call to call.

    Small tensors are only remembered and measured together, before the step ends.
    """

    def __init__(self, layout: Layout, passes: Passes, working: Callable[[], None]) -> None:
        self.page = Page()
        self.on = True
        self.expectant = True
        """Whether somebody waits to hear that the model works again."""
        self.large = True
        """Whether large tensors are measured in this step."""
        self.outputs: set[int] = set()
        """Slots of what is no gradient."""
        self.followed = 0
        """Number of modules that are followed."""
        self.since: list[tuple[object, int]] = []
        """For each call that runs, how many autograd nodes there were before it."""
        self._layout = layout
        self._passes = passes
        self._working = working
        self._streams = Streams()
        self._later: list[tuple[_Module, Tensor, int]] = []
        """Small outputs, with the version they had."""
        self._seen: tuple[Tensor, int, Row | None] | None = None
        self._came: tuple[Tensor, Row | None] | None = None
        self._forward: set[_Module] = set()
        """Modules of which an output was measured outside a backward pass."""

    def follow(self, module: nn.Module, name: str) -> Iterator[Any]:
        """Put hooks on `module`; yield their handles."""
        call = _Module(self, module, name)
        self.followed += 1
        if not call.is_plain:
            yield module.register_forward_pre_hook(Hook(call.enter))
        yield module.register_forward_hook(Hook(call.leave), with_kwargs=True)

    def slots(self, name: str, series: Callable[[str], Series]) -> tuple[int, int, int]:
        """Return the slots of output, upstream and downstream gradient of a module."""
        self._layout.meet(name)
        quantities = ("output", "upstream gradient", "downstream gradient")
        output, upstream, downstream = (self._layout.slot(series(each)) for each in quantities)
        self.outputs.add(output)
        return output, upstream, downstream

    def turn(self) -> Page:
        """Return the page that was written, and begin another."""
        self._measure_later()
        self._streams.join()
        page, self.page = self.page, Page()
        self._forward.clear()
        self.since.clear()
        self.rest()
        return page

    def rest(self) -> None:
        """Let go of the tensors that were measured last."""
        self._seen = self._came = None

    def begin(self) -> None:
        """Say that the model works again."""
        self.expectant = False
        self._working()

    def put(self, module: _Module, output: Tensor) -> None:
        """Measure an output, unless a checkpoint computes again what was measured before."""
        if torch._C._current_graph_task_id() == -1:
            self._forward.add(module)
        elif module in self._forward:
            return
        if not module.hurries and module.ends is None and is_small(output):
            self._later.append((module, output, output._version))
            if module.hurries is False:
                return
        seen = self._seen
        if seen is not None and seen[0] is output and seen[1] == output._version:
            row = seen[2]
        else:
            self._streams.note(output)
            row = measure(output, zeros=True, ends=module.ends)
            self._seen = (output, output._version, row) if module.ends is None else None
        if row is not None:
            self.page.rows.append((module.output_slot, row))

    def _measure_later(self) -> None:
        later, self._later = self._later, []
        kept = [(m, output) for m, output, _ in later if m.hurries is False]
        for module, output, version in later:
            overwritten = output._version != version
            if overwritten and module.hurries is False:
                kept = [(m, o) for m, o in kept if o is not output]
            module.hurries = overwritten or bool(module.hurries)
        rows = measure_together([output for _, output in kept], zeros=True)
        for (module, _), row in zip(kept, rows, strict=True):
            if row is not None:
                self.page.rows.append((module.output_slot, row))

    def arrived(self, slot: int, gradient: Tensor) -> None:
        """Measure a gradient, of which the next one to arrive may be the same tensor."""
        found = self._passes.found()
        if not self.large and gradient.numel() > LARGE:
            return
        came = self._came
        if came is None or came[0] is not gradient:
            if is_small(gradient):
                found.later.append((slot, gradient))
                return
            self._streams.note(gradient)
            self._came = came = (gradient, measure(gradient))
        if came[1] is not None:
            found.rows.append((slot, came[1]))


class _Module:
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
        self._path: Path | None = None
        """How the gradient went to the one input, last time."""
        self._core: int | None = None
        """The place on that way of the one node that does more than to reshape it."""

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
        if not self._calls.large and any(each.numel() > LARGE for each in outputs):
            return
        for tensor in outputs:
            if tensor.is_floating_point() or tensor.is_complex():
                self._calls.put(self, tensor)
        if not self._knows_the_way(arguments, keywords, output):
            results = [(t.grad_fn, t.output_nr) for t in outputs if t.grad_fn is not None]
            if results:
                inputs = _tensors(arguments) + (_tensors(keywords) if keywords else [])
                self._expect(results, inputs, outputs, since)

    def _knows_the_way(self, arguments: Any, keywords: Any, output: Any) -> bool:
        """Put hooks where they were needed last time, if that is where they are needed."""
        if self._path is None or keywords or len(arguments) != 1 or type(output) is not Tensor:
            return False
        node, given = output.grad_fn, arguments[0]
        if node is None or output.output_nr or type(given) is not Tensor or given.grad_fn is None:
            return False
        user = follow(self._path, node, given)
        if user is None or given is output:
            return False
        if self._core is not None and (user is node or output.numel() <= SMALL):
            node_at(self._path[: self._core], node).register_hook(self._passed_through)
        else:
            node.register_prehook(self._came)
            user.register_hook(self._went)
        return True

    def _came(self, upstream: tuple[Any, ...]) -> None:
        if upstream[0] is not None and self._calls.on:
            self._calls.arrived(self._upstream_slot, upstream[0])

    def _went(self, downstream: tuple[Any, ...], upstream: tuple[Any, ...]) -> None:
        assert self._path is not None
        self._passed(downstream[self._path[-1]])

    def _passed_through(self, downstream: tuple[Any, ...], upstream: tuple[Any, ...]) -> None:
        assert self._path is not None
        assert self._core is not None
        self._came(upstream)
        self._passed(downstream[self._path[self._core]])

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
            self._path = path_to(edge, node) if len(places) == 1 and not number else None
            self._core = core_of(self._path, node) if self._path else None

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


def _tensors(value: Any) -> list[Tensor]:
    return [tensor for _, tensor in tensors_in(value)]


def _op_of(name: str) -> str:
    """Return what the framework calls the operation of a module class, such as `leaky_relu`.

    >>> [_op_of(name) for name in ("LeakyReLU", "Conv2d", "LayerNorm", "GELU", "PReLU", "LSTM")]
    ['leaky_relu', 'conv2d', 'layer_norm', 'gelu', 'prelu', 'lstm']
    """
    words = re.findall(r"[A-Z]+[a-z]*LU\d?|[A-Z][a-z]+\d?d?|[A-Z]+(?![a-z])\d?|\d+d?", name)
    return "_".join(words or [name]).lower()
