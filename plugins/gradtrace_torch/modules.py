"""Where in the model a call happens, followed through global module hooks."""

from __future__ import annotations

import inspect
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as hooks

from gradtrace_torch.arguments import tensors_in
from gradtrace_torch.sources import name_in_frames

__all__ = ["Modules", "argument_names"]


class Modules:
    """Names of modules and their tensors, and the stack of modules that are running.

    `on_output(module, output)` is called as each module returns, still inside its scope.
    """

    def __init__(
        self,
        model: nn.Module | None,
        frame: FrameType | None,
        on_output: Callable[[nn.Module, Any], None],
    ) -> None:
        self.names: dict[int, str] = {}
        self.parameters: dict[int, list[str]] = {}
        self.buffers: dict[int, list[str]] = {}
        self.trainable: dict[str, bool] = {}
        """Every parameter by name, with whether it asks for a gradient as its module is met."""
        self.compiled = False
        self.muted = False
        """Whether modules run for our sake, not the user's."""
        self.scope = ""
        self.invocations: tuple[int, ...] = ()
        self._roots: list[nn.Module] = []  # keeps the ids in the tables above valid
        self._stack: list[tuple[nn.Module, str, tuple[int, ...]]] = []
        self._serial = 0
        self._frame = frame
        self._on_output = on_output
        self._thread = threading.get_ident()
        self._given = model is not None
        if model is not None:
            self.register(model, "")

    def register(self, root: nn.Module, prefix: str, *, own: bool = True) -> None:
        """Give the modules and tensors of `root` their dotted names.

        Parameters that are not the traced model's `own` are not expected to get a gradient.
        """
        self._roots.append(root)
        for path, module in root.named_modules(remove_duplicate=False):
            scope = _dotted(prefix, path)
            self.compiled |= type(module).__name__ == "OptimizedModule"
            self.names.setdefault(id(module), scope)
            for name, parameter in module._parameters.items():
                if parameter is not None:
                    dotted = _dotted(scope, name)
                    self.parameters.setdefault(id(parameter), []).append(dotted)
                    if own:
                        self.trainable[dotted] = parameter.requires_grad
            for name, buffer in module._buffers.items():
                if buffer is not None:
                    self.buffers.setdefault(id(buffer), []).append(_dotted(scope, name))

    def install(self) -> list[Any]:
        """Begin to follow modules; return the handles that end it."""
        return [
            hooks.register_module_forward_pre_hook(self._enter),
            hooks.register_module_forward_hook(self._leave, always_call=True),
        ]

    def forget(self) -> None:
        """Let go of the user's frame, and of who is told."""
        self._frame = None
        del self._on_output

    def foreign(self) -> bool:
        """Tell whether this is another thread, or a forward run again for a backward pass."""
        return (
            self.muted
            or threading.get_ident() != self._thread
            or torch._C._current_graph_task_id() != -1
        )

    def _enter(self, module: nn.Module, arguments: tuple[Any, ...]) -> None:
        if self.foreign():
            return
        self._stack.append((module, self.scope, self.invocations))
        name = self.names.get(id(module))
        if name is None:
            name = self._name_late(module)
        self._serial += 1
        self.scope = name
        self.invocations = (*self.invocations, self._serial) if name else ()

    def _leave(self, module: nn.Module, arguments: Any, output: Any) -> None:
        if self.foreign() or not any(entry[0] is module for entry in self._stack):
            return
        self._on_output(module, output)
        while True:  # a module that raised may have left inner ones behind
            inner, self.scope, self.invocations = self._stack.pop()
            if inner is module:
                return

    def _name_late(self, module: nn.Module) -> str:
        """Name a module that is not registered in a known one: held in a plain list, or a root."""
        inside = bool(self._stack[:-1])
        if inside:
            owner, prefix = self._stack[-2][0], self.scope
            name = _dotted(prefix, _attribute(owner, module) or _class_name(module))
        else:
            name = name_in_frames(module, self._frame) or _class_name(module)
        self.register(module, name, own=inside or not self._given)
        return name


_CALLS_FORWARD = nn.Module._call_impl.__code__


def argument_names(tensor: Tensor) -> tuple[str, ...]:
    """Return what the forward method of the outermost running module calls `tensor`."""
    named: dict[str, Tensor] = {}
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code is _CALLS_FORWARD:
            names = frame.f_locals
            named = _named_arguments(names["self"], names["args"], names["kwargs"]) or named
        frame = frame.f_back
    return tuple([name for name, argument in named.items() if argument is tensor])


def _named_arguments(
    module: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any]
) -> dict[str, Tensor]:
    """Return the tensors that a module is called with, by the names its forward method has."""
    forward = getattr(module, "_orig_mod", module).forward
    bound = {**_by_name(forward, arguments), **keywords}
    return {
        str(path[0]) + "".join([f"[{part}]" for part in path[1:]]): tensor
        for path, tensor in tensors_in(bound)
    }


def _by_name(function: Callable[..., Any], arguments: tuple[Any, ...]) -> dict[str, Any]:
    """Return positional arguments by name; `inspect.signature` takes as long as ten calls."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is None:
        return {}
    names = code.co_varnames[inspect.ismethod(function) : code.co_argcount]
    bound = dict(zip(names, arguments, strict=False))
    if len(arguments) > len(names) and code.co_flags & inspect.CO_VARARGS:
        rest = code.co_varnames[code.co_argcount + code.co_kwonlyargcount]
        bound[rest] = arguments[len(names) :]
    return bound


def _dotted(prefix: str, name: str) -> str:
    """Join two dotted names; what `torch.compile` wraps around a module is left out."""
    if "_orig_mod" not in name:
        return f"{prefix}.{name}" if prefix and name else prefix or name
    parts = [part for part in f"{prefix}.{name}".split(".") if part and part != "_orig_mod"]
    return ".".join(parts)


def _class_name(module: nn.Module) -> str:
    return type(module).__name__


def _attribute(owner: nn.Module, module: nn.Module) -> str | None:
    """Return the name under which `owner` holds `module` outside its registry."""
    for name, held in vars(owner).items():
        if held is module:
            return name
        if isinstance(held, list | tuple):
            for index, element in enumerate(held):
                if element is module:
                    return f"{name}.{index}"
        elif isinstance(held, dict) and not name.startswith("_"):
            for key, element in held.items():
                if element is module:
                    return f"{name}.{key}"
    return None
