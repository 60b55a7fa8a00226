"""A model of PyTorch as it is followed through its training."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn
from torch._C import DisableTorchFunction
from torch.optim.optimizer import register_optimizer_step_pre_hook

from gradtrace.errors import OptionError
from gradtrace.recording.ledger import Layout, Page, Reading, joined
from gradtrace.recording.observer import Moments, Schedule
from gradtrace_torch.recording.calls import Calls
from gradtrace_torch.recording.model_facts import model_facts
from gradtrace_torch.recording.optimizers import (
    has_closure,
    inner_of,
    learning_rates,
    runs,
)
from gradtrace_torch.recording.parameter import Parameter
from gradtrace_torch.recording.parameters import Parameters
from gradtrace_torch.recording.passes import Found, Passes
from gradtrace_torch.recording.ranks import averaged_by, gather, place_in_world, unwrapped
from gradtrace_torch.recording.readback import PageReading, as_scalar
from gradtrace_torch.recording.reductions import add_scaled, rescale
from gradtrace_torch.recording.scaling import Scaling

__all__ = ["TorchFollower"]


class TorchFollower:
    """Follows one model.

    Parameters are looked up again once the model runs: `fully_shard` and the like replace them.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizers: tuple[Any, ...],
        wanted: Callable[[str], bool],
        moments: Moments,
    ) -> None:
        root: Any = model
        while type(root).__name__ == "DistributedDataParallel":
            root = root.module
        self._model: nn.Module = root
        self._outermost = model
        self._wanted = wanted
        self._moments = moments
        self._optimizers = tuple(inner_of(each) for each in optimizers)
        for each in self._optimizers:
            if not isinstance(each, torch.optim.Optimizer):
                raise OptionError(
                    f"optimizer={each!r} is no optimizer of torch; pass one, a list of several, or "
                    "none: an optimizer that steps parameters of the model is found by itself"
                )
        self._seen: list[Any] = list(self._optimizers)
        self._layout = Layout()
        self._passes = Passes(self._pass_ended)
        self._calls = Calls(self._layout, self._passes, self._working)
        self._parameters: Parameters | None = None
        self._has_run = False
        """Whether the model has worked since the parameters were looked up."""
        self._scaling = Scaling()
        self._schedule = Schedule()
        self._handles: list[Any] = []
        self._pages: list[Page] = []
        self._scalars: dict[str, Any] = {}
        self._stepping: tuple[Any, FrameType | None] = (None, None)
        """The optimizer that steps, with the call of its `step`."""
        self._stepped: list[Parameter] = []
        """What it steps."""
        self._world = 1
        self._unscale: Any = None
        """By what the gradients of this step were multiplied."""
        self.rank = place_in_world()[0]
        self.traceable = not any(
            type(module).__name__ == "OptimizedModule" or module._compiled_call_impl is not None
            for module in model.modules()
        )
        self.facts: Mapping[str, Any] = model_facts(root)

    def start(self) -> None:
        """Put hooks on modules, optimizers and parameters."""
        self._require_own()
        self._follow_modules()
        if place_in_world()[1] == 1:
            self._attach()  # a loop may never call the model, but methods of it
        if self._optimizers:
            for optimizer in self._optimizers:
                self._follow(optimizer)
        else:
            self._handles.append(register_optimizer_step_pre_hook(self._meet))

    def _follow_modules(self) -> None:
        """Put hooks on the modules that have none yet."""
        for name, module in self._model.named_modules():
            if self._wanted(unwrapped(name)) and not _wraps(module):
                self._handles += self._calls.follow(module, unwrapped(name))

    def _follow(self, optimizer: Any) -> None:
        self._handles.append(optimizer.register_step_pre_hook(self._before_step))
        self._handles.append(optimizer.register_step_post_hook(self._after_step))

    def _meet(self, optimizer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Follow an optimizer that is about to step for the first time, if it is one of ours.

        Hooks of its own are put on it, which are called next: a trace may begin or end in them,
        which cannot change the hooks of all optimizers while those are called.
        """
        if optimizer not in self._seen and self._stepped_by(optimizer):
            self._seen.append(optimizer)
            self._follow(optimizer)

    def _require_own(self) -> None:
        own = {id(parameter) for parameter in self._model.parameters()}
        for optimizer in self._optimizers:
            held = [p for group in optimizer.param_groups for p in group["params"]]
            if not own & {id(p) for p in held}:
                raise OptionError(
                    f"optimizer={type(optimizer).__name__} steps none of the {len(own)} parameters "
                    f"of {type(self._model).__name__}; make it of model.parameters(), after the "
                    "model is on its device and sharded, or leave optimizer= out"
                )

    def _attach(self) -> Parameters:
        """Look up the parameters."""
        if self._parameters is not None:
            self._parameters.stop()
        self._world = averaged_by(self._outermost)
        alone = self._world == 1 and self._calls.followed
        arrived = self._calls.parameter_arrived if alone else self._arrived
        self._parameters = Parameters(self._named(), self._layout, self._calls.page, arrived)
        self._parameters.schedule = self._schedule
        return self._parameters

    def _named(self) -> list[tuple[str, nn.Parameter]]:
        return [
            (unwrapped(name), parameter)
            for name, parameter in self._model.named_parameters()
            if self._wanted(unwrapped(name))
        ]

    def _stepped_by(self, optimizer: Any) -> list[Parameter]:
        """Return what an optimizer steps; parameters and modules may have been replaced."""
        found = self._params.stepped_by(optimizer)
        if found is None:
            self._params.follow(self._named())
            self._follow_modules()
            found = self._params.stepped_by(optimizer)
        return found or []

    @property
    def _params(self) -> Parameters:
        self._has_run = True
        return self._parameters or self._attach()

    def _working(self) -> None:
        if not self._has_run:
            self._has_run = True
            self._attach()
        self._moments.working()

    def _arrived(self, tensor: Tensor) -> None:
        if not self._schedule.measured or torch.compiler.is_compiling():
            return
        with DisableTorchFunction():
            if self._world > 1 and type(tensor) is nn.Parameter:
                self._params.measure_local(tensor, self._layout)
            self._passes.add(tensor)

    def _pass_ended(self, found: Found) -> None:
        self._calls.rest()
        if not self._schedule.measured:
            return
        with DisableTorchFunction():
            self._moments.working()
            self._scaling.search()
            unscale = self._unscale = self._reciprocal()
            factor = (1.0 if unscale is None else unscale) / self._world
            add_scaled(self._calls.page, found.rows, [found.sheet.turn()], factor)
            self._params.measure_gradients(found.arrived, unscale, alone=self._world == 1)

    def _before_step(self, optimizer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        call = sys._getframe(1)
        if runs(self._stepping[1], call):
            return
        stepped = self._stepped_by(optimizer)
        if not stepped:
            return
        self._stepping, self._stepped = (optimizer, call), stepped
        if not self._schedule.measured:
            return
        with DisableTorchFunction():
            closure = has_closure(args, kwargs)
            if not closure:
                self._moments.working()
            if self._scaling.stepped_by(optimizer):
                self._correct_scale()
            self._scalars.update(learning_rates(self._seen))
            self._params.before_step(
                stepped, self._scaling.left_to(optimizer), gradients=not closure
            )

    def _reciprocal(self) -> Any:
        """Return by what gradients have to be multiplied, and record the scale they have."""
        scale = self._scaling.scale()
        if scale is None:
            self._scalars.pop("scale", None)
            return None
        self._scalars["scale"] = scale
        return 1.0 / scale

    def _correct_scale(self) -> None:
        """Unscale again what has been measured in this step before the scaler was known."""
        before, self._unscale = self._unscale, self._reciprocal()
        factor = (1.0 if self._unscale is None else self._unscale) / (
            1.0 if before is None else before
        )
        rescale(self._calls.page, factor, but=self._calls.output_slots)
        self._params.rescale(factor)

    def _after_step(self, optimizer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if self._stepping != (optimizer, sys._getframe(1)):
            return
        self._stepping = (None, None)
        if self._schedule.measured:
            with DisableTorchFunction():
                self._params.after_step(self._stepped, gradients=has_closure(args, kwargs))
        self._calls.expectant = True
        self._moments.optimized(optimizer)

    def mark(self) -> None:
        """Remember that a step may have ended here."""
        self._pages.append(self._turn())

    def _turn(self) -> Page:
        with DisableTorchFunction():
            params, page = self._params, self._calls.turn()
            params.turn()
            params.page = self._calls.page
        page.scalars, self._scalars = self._scalars, {}
        return page

    def take(self, scalars: Mapping[str, Any], *, whole: bool) -> list[Reading]:
        """Return what was measured; see `Follower`."""
        self._passes.forget()
        self._stepping = (None, None)
        pages = [*self._pages, self._turn()]
        self._pages = []
        if whole:
            pages = [joined(pages)]
        if "lr/0" in pages[-1].scalars:
            pages[-1].scalars.pop("lr", None)  # a second optimizer has turned up in this step
        pages[-1].scalars |= {name: as_scalar(name, value) for name, value in scalars.items()}
        with DisableTorchFunction():
            return [PageReading(page, self._layout) for page in pages]

    def begin(self, schedule: Schedule) -> None:
        """Measure the next step as `schedule` says."""
        self._schedule = schedule
        self._calls.schedule(schedule, scaled=self._scaling.scaler is not None)
        if self._parameters is not None:
            self._parameters.schedule = schedule

    def quiet(self, *, tracing: bool) -> bool:
        """Tell whether nobody else's mode is in the way of a trace that begins or ends."""
        depth = torch._C._len_torch_function_stack()
        modes = [type(torch._C._get_function_stack_at(place)) for place in range(depth)]
        if torch._C._current_graph_task_id() != -1:
            return False
        if tracing:
            return bool(modes) and modes[-1].__module__ == "gradtrace_torch.recorder"
        return all(mode is torch.utils._device.DeviceContext for mode in modes)

    def gather(self, data: bytes) -> list[bytes]:
        """Return what each process gives; see `Follower`."""
        return gather(data)

    def stop(self) -> None:
        """Remove every hook."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._calls.on = False
        self._calls.rest()
        self._stepping = (None, None)
        if self._parameters is not None:
            self._parameters.stop()


def _wraps(module: nn.Module) -> bool:
    return type(module).__name__ in ("DistributedDataParallel", "CheckpointWrapper")
