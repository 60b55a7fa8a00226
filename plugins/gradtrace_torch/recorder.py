"""The run of a traced block: what the torch function mode sees becomes values, uses and calls."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from gradtrace.tape import Options, Tape
from gradtrace_torch.gradients import Gradients
from gradtrace_torch.live import LiveCall, LiveUse, LiveValue
from gradtrace_torch.modules import tensors_in
from gradtrace_torch.ops import Op, Path, known_ops, op_of
from gradtrace_torch.request import Request
from gradtrace_torch.scenery import Pauses, scenery
from gradtrace_torch.sources import place, user_frame
from gradtrace_torch.statistics import Meter
from gradtrace_torch.transcript import transcribe
from gradtrace_torch.values import Values

__all__ = ["record"]


@contextmanager
def record(tape: Tape, options: Options, model: nn.Module | None) -> Iterator[None]:
    """Record what PyTorch does in the block, and fill `tape` as it ends."""
    meter = Meter(options.keep)
    gradients = Gradients(meter)
    values = Values(options, meter, gradients, model, user_frame(3))
    recorder = Recorder(values, gradients)
    try:
        with scenery(values.modules, recorder.pauses), recorder:
            yield
    finally:
        values.release()
        tape.gradients = gradients.ran
        tape.parameters = values.modules.trainable
        if values.steps:
            tape.defer(lambda: transcribe(values.steps, meter, gradients))


class Recorder(TorchFunctionMode):
    """Sees every call at the grain at which the user wrote it."""

    def __init__(self, values: Values, gradients: Gradients) -> None:
        super().__init__()
        self._values = values
        self._gradients = gradients
        self.pauses = Pauses()

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        op = known_ops.get(func) or op_of(func)
        if op.role == "quiet" or self.pauses:
            return func(*args, **kwargs)
        transforms = self._values.transforms
        if transforms.running():
            return transforms.run(func, args, kwargs)
        if op.role == "call":
            return self._call(op, func, args, kwargs)
        return self._differentiate(op, func, args, kwargs)

    def _differentiate(
        self, op: Op, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Run a part of automatic differentiation itself."""
        if op.role == "hook":
            self._values.of(args[0]).watched = self._gradients.overheard = True
            return func(*args, **kwargs)
        if op.role == "stored":
            gradient = func(*args, **kwargs)
            if gradient is not None:
                self._values.stored(args[0], gradient)
            return gradient
        request = Request.of(func, args, kwargs)
        seeds = [(self._values.of(output), seed) for output, seed in request.seeds()]
        with self._gradients.listening(
            adds=request.adds, hold=request.again, deaf=request.batched, seeds=seeds
        ):
            if request.adds:
                return func(*args, **kwargs)
            return self._call(op, self._gradient_of(request), args, kwargs)

    def _gradient_of(self, request: Request) -> Callable[..., Any]:
        """Return `torch.autograd.grad`, from which we hear what it hands out."""

        def grad(*args: Any, **kwargs: Any) -> Any:
            found = torch.autograd.grad(*args, **kwargs)
            for tensor, gradient in zip(request.inputs, found, strict=True):
                if gradient is not None and isinstance(tensor, Tensor) and not request.batched:
                    self._gradients.arrive(self._values.of(tensor), gradient.detach())
            return found

        return grad

    def _call(
        self, op: Op, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        values, modules = self._values, self._values.modules
        call = LiveCall(op.name, modules.scope, modules.invocations, place(2), op.function)
        call.uses = self._uses(call, args, kwargs)
        bases: dict[int, tuple[Tensor, LiveValue]] = {}
        if op.writes(args, kwargs):
            values.secure()
            bases = values.bases(_operands(args, kwargs))
        result = func(*args, **kwargs)
        if type(result) is Tensor and values.is_new(result):
            fresh = [result]
        else:
            fresh = [t for t in _results(op, args, result) if not values.unchanged(t, op)]
            if not fresh:
                return result
        if not call.uses:
            values.made(fresh, op, call.place)
            return result
        if bases:
            fresh = _through_views(call, _operands(args, kwargs), fresh, bases)
        values.add_call(call, fresh)
        return result

    def _uses(self, call: LiveCall, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[LiveUse]:
        """Return a use for each tensor among the arguments of `call`."""
        of = self._values.of
        if kwargs or any(not isinstance(argument, Tensor) for argument in args):
            return [LiveUse(call, of(tensor), path) for path, tensor in _operands(args, kwargs)]
        return [LiveUse(call, of(tensor), (index,)) for index, tensor in enumerate(args)]


def _through_views(
    call: LiveCall,
    operands: Iterable[tuple[Path, Tensor]],
    fresh: list[Tensor],
    bases: dict[int, tuple[Tensor, LiveValue]],
) -> list[Tensor]:
    """Let a call that wrote to a view have read and written the tensor under the view."""
    written = {id(tensor) for tensor in fresh} & set(bases)
    for use, (_, tensor) in zip(call.uses, operands, strict=True):
        if id(tensor) in written:
            use.value = bases[id(tensor)][1]
    return [bases[id(tensor)][0] if id(tensor) in written else tensor for tensor in fresh]


def _operands(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[tuple[Path, Tensor]]:
    """Yield the tensors among the arguments, with their paths; `out=` is none of them."""
    for index, argument in enumerate(args):
        yield from tensors_in(argument, (index,))
    for name, argument in kwargs.items():
        if name != "out":
            yield from tensors_in(argument, (name,))


def _results(op: Op, args: tuple[Any, ...], result: Any) -> list[Tensor]:
    """Return the tensors that a call made or wrote to."""
    if isinstance(result, Tensor):
        return [result]
    if result is None:
        return [tensor for _, tensor in tensors_in(args[:1])] if op.mutates else []
    return [tensor for _, tensor in tensors_in(result)]
