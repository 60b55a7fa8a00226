"""The run of a traced block: what the torch function mode sees becomes values, uses and calls."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter
from torch.overrides import (
    TorchFunctionMode,
    _get_current_function_mode_stack,
    _pop_mode,
    _push_mode,
)

from gradtrace.tape import Options, Tape
from gradtrace_torch.arguments import operands_of, results_of
from gradtrace_torch.custom import custom_functions
from gradtrace_torch.gradients import Gradients
from gradtrace_torch.live import LiveCall, LiveUse, LiveValue
from gradtrace_torch.ops import Op, Path, custom_op, known_ops, op_of
from gradtrace_torch.replay import Memory
from gradtrace_torch.request import Request
from gradtrace_torch.scenery import Pauses, scenery
from gradtrace_torch.sources import place, user_frame
from gradtrace_torch.statistics import Meter
from gradtrace_torch.transcript import Transcription
from gradtrace_torch.values import Values

__all__ = ["record"]


@contextmanager
def record(tape: Tape, options: Options, model: nn.Module | None) -> Iterator[None]:
    """Record what PyTorch does in the block, and fill `tape` as it ends."""
    meter = Meter(options.keep)
    gradients = Gradients(meter)
    values = Values(options, meter, gradients, model, user_frame(3))
    replayable = options.keep == "all" and options.detail == "call"
    recorder = Recorder(values, gradients, replayable=replayable)
    try:
        with scenery(values.modules, recorder.pauses), custom_functions(recorder.apply), recorder:
            yield
    finally:
        values.release()
        tape.gradients = gradients.ran
        tape.parameters = values.modules.trainable
        if values.steps:
            tape.defer(Transcription(values.steps, meter, gradients))


class Recorder(TorchFunctionMode):
    """Sees every call at the grain at which the user wrote it."""

    def __init__(self, values: Values, gradients: Gradients, *, replayable: bool) -> None:
        super().__init__()
        self._values = values
        self._gradients = gradients
        self._replayable = replayable
        """Whether calls are kept so that they can be run again."""
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
        if op.role == "quiet" or self.pauses or (types and any(map(_is_lazy, types))):
            return func(*args, **kwargs)
        transforms = self._values.transforms
        if transforms.running():
            return transforms.run(func, args, kwargs)
        if op.role == "call":
            return self._call(op, func, args, kwargs)
        if op.role == "branch":
            condition, yes, no, operands = args
            with _modes_on([self]):  # what is taken is traced as if it stood there
                return (yes if condition else no)(*operands)
        return self._differentiate(op, func, args, kwargs)

    def apply(
        self, cls: Any, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Run a custom function of the user's, as any other call where this mode sees calls."""
        modes = _get_current_function_mode_stack()
        away = self.pauses or self._values.modules.foreign() or self._values.transforms.running()
        if away or self not in modes or not torch._C._is_torch_function_enabled():
            return func(*args, **kwargs)
        above = modes[modes.index(self) :]

        def run(*args: Any, **kwargs: Any) -> Any:
            with _modes_on(above):
                return func(*args, **kwargs)

        with _modes_off(above):  # as PyTorch does around `__torch_function__`
            return self._call(custom_op(cls), run, args, kwargs)

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
        uses = self._uses(args, kwargs)
        call = LiveCall(op.name, modules.scope, modules.invocations, place(2), uses, op.function)
        bases: dict[int, tuple[Tensor, LiveValue]] = {}
        if op.writes(args, kwargs):
            values.secure()
            bases = values.bases(operands_of(args, kwargs))
        if self._replayable:
            call.memory = Memory(op, func, args, kwargs)
        result = func(*args, **kwargs)
        if type(result) is Tensor and values.is_new(result):
            fresh = [result]
        else:
            fresh = [t for t in results_of(op, args, result) if not values.unchanged(t, op)]
            if not fresh:
                return result
        if not call.uses:
            values.made(fresh, op, call.place)
            return result
        if bases:
            call.memory = None
            fresh = _through_views(call, operands_of(args, kwargs), fresh, bases)
        if call.memory is not None:
            call.memory.forget_random()
        values.add_call(call, fresh)
        return result

    def _uses(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[LiveUse]:
        """Return a use for each tensor among the arguments of a call."""
        of = self._values.of
        return [LiveUse(of(tensor), path) for path, tensor in operands_of(args, kwargs)]


def _is_lazy(cls: type) -> bool:
    """Tell whether this is the class of parameters that their module has yet to initialize."""
    return issubclass(cls, UninitializedParameter | UninitializedBuffer)


@contextmanager
def _modes_off(modes: list[TorchFunctionMode]) -> Iterator[None]:
    """Take away the innermost modes of the stack for a while."""
    for _ in modes:
        _pop_mode()
    try:
        yield
    finally:
        for mode in modes:
            _push_mode(mode)


@contextmanager
def _modes_on(modes: list[TorchFunctionMode]) -> Iterator[None]:
    """Put modes back for a while."""
    for mode in modes:
        _push_mode(mode)
    try:
        yield
    finally:
        for _ in modes:
            _pop_mode()


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
