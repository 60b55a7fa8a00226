"""Every value and call of the run, with the tensors and autograd edges they are known by."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn

from gradtrace.tape import Options
from gradtrace_torch.arguments import tensors_in
from gradtrace_torch.chains import let_go
from gradtrace_torch.derivatives import Differentiator
from gradtrace_torch.edges import edge_of, node_of
from gradtrace_torch.gradients import Gradients
from gradtrace_torch.identity import Identities
from gradtrace_torch.live import Edge, LiveCall, LiveUse, LiveValue
from gradtrace_torch.modules import Modules
from gradtrace_torch.nodes import Ownership
from gradtrace_torch.ops import Op, node_op
from gradtrace_torch.origins import Origins, definition
from gradtrace_torch.sources import Place, place
from gradtrace_torch.statistics import Meter
from gradtrace_torch.transforms import Transforms

__all__ = ["Values"]


class Values:
    """Finds or makes the value behind a tensor, and adds calls in order."""

    def __init__(
        self,
        options: Options,
        meter: Meter,
        gradients: Gradients,
        model: nn.Module | None,
        frame: FrameType | None,
    ) -> None:
        self.steps: list[LiveValue | LiveCall] = []
        self.modules = Modules(model, frame, self._returned)
        self._meter = meter
        self._gradients = gradients
        self._primitive = options.detail == "primitive"
        self._differentiator = (
            None
            if options.derivatives == "gain"
            else Differentiator(options.derivatives, options.limit)
        )
        self._identities = Identities()
        self._nodes = Ownership(self._leaf_at, self._split)
        self._origins = Origins(self.modules, frame)
        self.transforms = Transforms()

    # -- tensors to values ---------------------------------------------------------------

    def of(self, tensor: Tensor) -> LiveValue:
        """Return the value that `tensor` holds now."""
        value = self._identities.current(tensor)
        if value is None:
            value = self._find(tensor)
            self._identities.set(tensor, value)
        return value

    def _find(self, tensor: Tensor) -> LiveValue:
        if tensor.requires_grad and node_of(tensor) is not None:
            return self._at_edge(tensor)
        value = self._identities.last(tensor)
        if value is None:
            return self._leaf(tensor)
        base = tensor._base if not tensor.requires_grad and not tensor.is_inference() else None
        known = base is not None and self._identities.last(base) is not None
        if base is not None and known and self._identities.was_written_to(tensor):
            return self._view_again(tensor, base)
        if tensor.requires_grad and value.edge is None:
            self._watch_leaf(value, tensor)
        if value.is_leaf and not value.uses and self._identities.was_written_to(tensor):
            self._meter.read(value, tensor, own=True)  # initialized since it was first seen
            value.kind, value.names = self._origins.describe(tensor)
        return value

    def _at_edge(self, tensor: Tensor, op: str | None = None) -> LiveValue:
        """Return the value of a differentiable tensor, which autograd knows if we do not yet."""
        node = node_of(tensor)
        assert node is not None
        value = self._nodes.values.get((node, tensor.output_nr))
        if value is None and node in self._nodes.owners:
            value = self._nodes.inside((node, tensor.output_nr))
        if value is not None:
            if value.unseen:
                self._meter.read(value, tensor)
                value.unseen = False
            return value
        op = op or self.transforms.made(node) or node_op(node.name())
        call = LiveCall(op, self.modules.scope, self.modules.invocations, definition(node), [])
        return self.add_call(call, [tensor])[0]

    def _view_again(self, tensor: Tensor, base: Tensor) -> LiveValue:
        """Return the value of a view after something was written to its base."""
        uses = [LiveUse(self.of(base), (0,))]
        call = LiveCall("view", self.modules.scope, self.modules.invocations, place(2), uses)
        return self.add_call(call, [tensor])[0]

    def _leaf(self, tensor: Tensor) -> LiveValue:
        value = self._value(tensor, own=True)
        value.is_leaf = True
        value.kind, value.names = self._origins.describe(tensor)
        value.op, value.place = self._origins.of(tensor)
        value.differentiable = tensor.requires_grad
        self.steps.append(value)
        if tensor.requires_grad and (tensor._is_view() or not torch.is_grad_enabled()):
            self._watch_leaf(value, tensor)  # no node that is made now will show its edge
            value.differentiable = value.edge is not None
        return value

    def _leaf_at(self, edge: Edge) -> LiveValue:
        """Return the leaf that gathers what arrives at `edge`."""
        tensor = edge[0].variable
        value = self._identities.last(tensor) or self.of(tensor)
        if value.edge is not None or not value.is_leaf:
            return self.of(tensor)
        self._watch_leaf(value, tensor, edge)
        return value

    def _watch_leaf(self, value: LiveValue, tensor: Tensor, edge: Edge | None = None) -> None:
        """Hear the gradient of a leaf; autograd shows its edge where a call has just met it."""
        if edge is None:
            within = torch.is_inference_mode_enabled()
            with torch.inference_mode(False) if within else nullcontext():
                edge = edge_of(tensor)
        if edge is None:
            return
        value.watched |= bool(tensor._backward_hooks)
        self._nodes.bind(value, edge)
        self._gradients.listen_to_leaf(value)

    def _value(
        self, tensor: Tensor, *, own: bool = False, like: LiveValue | None = None
    ) -> LiveValue:
        value = LiveValue()
        self._meter.read(value, tensor, own=own, like=like)
        return value

    # -- calls ---------------------------------------------------------------------------

    def is_new(self, tensor: Tensor) -> bool:
        """Tell whether autograd made `tensor` in a call that is not recorded yet."""
        node = node_of(tensor)
        return node is not None and node not in self._nodes.owners

    def unchanged(self, tensor: Tensor, op: Op) -> bool:
        """Tell whether a call left `tensor` the value it was, as far as gradients can tell.

        What is written to a tensor without autograd's knowledge leaves it the same value.
        """
        node = node_of(tensor)
        if node is not None:
            if node not in self._nodes.owners:
                return False
            value = self._nodes.values.get((node, tensor.output_nr))
        elif tensor.requires_grad:
            value = self._identities.last(tensor)
        else:
            counted = not (op.mutates and tensor.is_inference())
            return counted and self._identities.current(tensor) is not None
        if value is not None and (value.uses or not value.is_leaf):
            self._identities.set(tensor, value)
        return value is not None

    def bases(self, operands: Iterable[tuple[Any, Tensor]]) -> dict[int, tuple[Tensor, LiveValue]]:
        """Return, for each operand that is a view of a known tensor, that tensor and its value."""
        found: dict[int, tuple[Tensor, LiveValue]] = {}
        for _, tensor in operands:
            base = None if tensor.is_inference() else tensor._base
            if base is not None and self._identities.last(base) is not None:
                found[id(tensor)] = (base, self.of(base))
        return found

    def made(self, tensors: list[Tensor], op: Op, where: Place | None) -> None:
        """Remember that `op` made `tensors` out of nothing; they are leaves once they are used."""
        for tensor in tensors:
            self._origins.set(tensor, op.name, where)

    def stored(self, tensor: Tensor, gradient: Tensor) -> None:
        """Remember that `gradient` is the `.grad` of `tensor`."""
        value = self._identities.last(tensor)
        name = f"{value.names[0]}.grad" if value is not None and value.names else "grad"
        self._origins.set(gradient, name, None)

    def add_call(self, call: LiveCall, results: list[Tensor]) -> list[LiveValue]:
        """Add `call`, whose operands are set, with the values of `results`."""
        roots = []
        like = call.uses[0].value if call.uses else None
        for tensor in results:
            value = self._value(tensor, like=like)
            value.call = call
            call.results.append(value)
            node = node_of(tensor)
            if node is not None:
                self._nodes.bind(value, (node, tensor.output_nr))
                roots.append(node)
            self._identities.set(tensor, value)
        made = list(call.results)
        if roots:
            self._own(call, roots)
        else:
            self.steps.append(call)
        return made

    def _own(self, call: LiveCall, roots: list[Any]) -> None:
        """Give `call` its autograd nodes, and listen to them."""
        slots = self._nodes.claim_one(call, roots[0]) if len(call.results) == 1 else None
        if slots is not None:
            self.steps.append(call)
            self._gradients.listen_to_node(call, slots)
            if self._primitive or self._differentiator is not None:
                self._finish(call)
            return
        tangled = self._nodes.claim(call, roots)
        self.steps.append(call)
        if tangled or (self._primitive and len(call.nodes) > 1):
            self._nodes.split(call)
        else:
            self._gradients.listen(call)
            self._finish(call)

    def _split(self, call: LiveCall, parts: list[LiveCall]) -> None:
        """Put the parts of a call that was taken apart in its place."""
        index = next(i for i in range(len(self.steps) - 1, -1, -1) if self.steps[i] is call)
        self.steps[index : index + 1] = parts
        for handle in call.handles:
            handle.remove()
        for part in parts:
            self._gradients.listen(part)
            self._finish(part)

    def _finish(self, call: LiveCall) -> None:
        """Name a primitive after its node, and record local derivatives if asked to."""
        if self._primitive:
            call.op = node_op(call.nodes[0].name())
        if self._differentiator is not None:
            self.modules.muted = True  # a checkpoint runs its modules again for this
            try:
                self._differentiator.differentiate(call)
            finally:
                self.modules.muted = False

    def secure(self) -> None:
        """Copy what is only borrowed, before something is written in place."""
        self._meter.secure()

    def release(self) -> None:
        """Let go of autograd's graph and of the user's tensors, and remove every hook."""
        self._meter.secure()
        for step in self.steps:
            if isinstance(step, LiveValue):
                if step.handle is not None:
                    step.handle.remove()
                    step.handle = None
                if step.gradient is not None:
                    step.gradient.held = None
                continue
            for handle in step.handles:
                hooks = handle.hooks_dict_ref() or {}
                hooks.pop(handle.id, None)
                if hooks:
                    _mark_hooked(step)
            step.handles = ()
            step.nodes = ()
            for use in step.uses:
                use.slots = ()
        let_go(self._nodes.forget(), self._identities.living)
        self._origins.forget()
        self.modules.forget()

    # -- modules -------------------------------------------------------------------------

    def _returned(self, module: nn.Module, output: Any) -> None:
        """Own what a module made out of our sight, while its scope still stands."""
        with torch._C.DisableTorchFunction():
            for _, tensor in tensors_in(output):
                node = node_of(tensor)
                if node is None or (node, tensor.output_nr) in self._nodes.values:
                    continue
                if torch._C._functorch.is_functorch_wrapped_tensor(tensor):
                    continue  # inside of a transform, which is one opaque call
                scripted = isinstance(module, torch.jit.ScriptModule)
                op = str(module.original_name) if scripted else None
                self._identities.set(tensor, self._at_edge(tensor, op))


def _mark_hooked(call: LiveCall) -> None:
    """Remember that hooks of the user's are on the autograd nodes of `call`, as modules have."""
    for value in (*call.results, *[use.value for use in call.uses]):
        value.hooked = True
